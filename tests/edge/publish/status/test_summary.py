"""The day and the week of a subject, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from edge.contract import identity, jsontext
from edge.contract.reading import SCHEMA, Reading
from edge.contract.schema_files import EXAMPLES, FOLDER
from edge.outbox.row import new_row
from edge.publish.status.summary import Glance, Span, glance, look_over, summarise

NOON = datetime(2026, 5, 20, 12, tzinfo=UTC)


def seen(hours_ago: float, light: str, *ages: float, subject: str | None = "m1") -> Glance:
    """Return a reading with so many accepted animals; each interval goes from 10 days below to 20 above."""
    accepted = tuple((subject, _estimate(age)) for age in ages)
    return Glance(NOON - timedelta(hours=hours_ago), light, accepted, "housed", "c" * 64)


def _estimate(age: float) -> Span:
    return Span(age_days=age, interval_low_days=age - 10, interval_high_days=age + 20, coverage=0.9)


def test_day_and_week_are_medians_of_what_was_accepted_in_them_with_counts_by_light() -> None:
    glances = [
        seen(200, "dark", 10.0),  # older than a week
        seen(100, "dark", 90.0),
        seen(50, "light", 92.0),
        seen(20, "dark", 100.0),
        seen(10, "dark"),  # nothing accepted
        seen(5, "light", 104.0),
        seen(0, "dark", 110.0),
    ]
    summary = summarise("cage07", "c7", "m1", glances)["m1"]
    assert (summary.subject, summary.identity_method, summary.model_sha256) == ("m1", "housed", "c" * 64)
    day, week = summary.windows
    assert (day.kind, day.ends_at, day.begins_at) == ("day", NOON, NOON - timedelta(days=1))
    assert (day.age_days, day.interval_low_days, day.interval_high_days, day.coverage) == (104.0, 94.0, 124.0, 0.9)
    assert (day.readings, day.captures) == (3, 4)
    assert (day.readings_by_light, day.captures_by_light) == ({"dark": 2, "light": 1}, {"dark": 3, "light": 1})
    assert (week.age_days, week.readings, week.captures) == (100.0, 5, 6)


def test_without_an_accepted_age_there_is_none_but_the_captures_count() -> None:
    summary = summarise("cage07", "c7", None, [seen(1, "dark"), seen(0, "light")])["c7"]
    assert summary.subject is None
    assert [
        (window.age_days, window.interval_low_days, window.readings, window.captures) for window in summary.windows
    ] == [
        (None, None, 0, 2),
        (None, None, 0, 2),
    ]


def test_nothing_seen_is_no_summary() -> None:
    assert summarise("cage07", "c7", "m1", []) == {}


@given(st.lists(st.tuples(st.floats(0, 240), st.lists(st.floats(1, 1000), max_size=3)), min_size=1, max_size=30))
def test_the_week_holds_the_day_and_an_interval_holds_its_estimate(captures) -> None:
    glances = [seen(hours, "dark", *ages) for hours, ages in captures]
    newest = max(glance.at for glance in glances)
    for summary in summarise("cage07", "c7", "m1", glances).values():
        day, week = summary.windows
        assert day.readings <= week.readings
        assert 1 <= day.captures <= week.captures
        for window, days in ((day, 1), (week, 7)):
            ages = [one.age_days for of in glances if of.at > newest - timedelta(days=days) for _, one in of.accepted]
            assert window.readings == len(ages)
            assert window.age_days == (median(ages) if ages else None)
            if window.age_days is not None:
                assert window.interval_low_days <= window.age_days <= window.interval_high_days


def test_a_reading_of_an_unknown_form_is_passed_over() -> None:
    """What another version of the program left in the outbox does not end the publishing."""
    payload = (FOLDER / EXAMPLES / "reading.v1.json").read_bytes()
    body = identity.split(payload)[1]
    good = new_row("e" * 32, 1, "reading", SCHEMA, NOON, body, None, "")
    odd = replace(good, seq=2, body=body.replace(b'"cage_id"', b'"place"'))
    other = replace(good, seq=3, schema="cageclock/reading/9")
    assert [found.at for found in look_over([odd, good, other])] == [glance(jsontext.decode(body, Reading)).at]
