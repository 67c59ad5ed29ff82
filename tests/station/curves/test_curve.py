"""Curves say what was seen: windows, honest intervals, counts by light, gaps raw and corrected apart."""

from datetime import UTC, date, datetime, timedelta
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.curves.curve import (
    Capture,
    Curve,
    Sighting,
    begin_of,
    end_of,
    fit_trend,
    gather,
    model_changes,
    rejuvenations,
    silences,
)

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
times = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def sighting(at: datetime, age_days: float = 100.0, light: str = "dark") -> Sighting:
    return Sighting(at, light, True, age_days, age_days - 40, age_days + 40, "a" * 64)


def capture(at: datetime, model: str = "a", light: str = "dark") -> Capture:
    return Capture(at, light, "ok", model * 64)


@given(at=times, by=st.sampled_from(["day", "week", "month"]))
def test_a_time_lies_in_its_window(at: datetime, by: str) -> None:
    begins = begin_of(at, by)
    assert begins <= at.date() < end_of(begins, by)
    assert begin_of(datetime.combine(end_of(begins, by), at.timetz()), by) == end_of(begins, by)


@given(seen=st.lists(st.tuples(times, st.floats(0, 1000)), min_size=1, max_size=40))
def test_every_sighting_is_counted_in_one_window_of_which_the_estimate_is_the_median(
    seen: list[tuple[datetime, float]],
) -> None:
    windows = gather([sighting(at, age) for at, age in seen], [capture(at) for at, _ in seen], "week", None)
    assert sum(sum(window.readings.values()) for window in windows) == len(seen)
    for window in windows:
        assert window.age_days == median(age for at, age in seen if begin_of(at, "week") == window.begins)
        assert window.low_days <= window.age_days <= window.high_days


def test_more_readings_of_one_animal_do_not_narrow_the_interval() -> None:
    few = gather([sighting(START)], [], "day", None)[0]
    many = gather([sighting(START + timedelta(minutes=i)) for i in range(100)], [], "day", None)[0]
    assert (many.low_days, many.high_days) == (few.low_days, few.high_days)


def test_estimates_without_an_interval_make_a_curve_without_one() -> None:
    """A model whose animals were too few for an interval gives none: no width of 0, and nothing that looks younger."""
    bare = [
        Sighting(START + timedelta(days=day), "dark", True, age, None, None, "a" * 64)
        for day, age in ((0, 300.0), (1, 290.0))
    ]
    windows = gather(bare, [], "day", None)
    assert [(one.age_days, one.low_days, one.high_days) for one in windows] == [(300, None, None), (290, None, None)]
    assert rejuvenations(windows, []) == []


def test_a_window_without_accepted_reading_is_there_with_its_captures() -> None:
    [window] = gather([], [capture(START), capture(START, light="light")], "day", None)
    assert window.age_days is None
    assert window.captures == {"dark": 1, "light": 1}


def test_the_age_is_counted_from_the_day_of_birth() -> None:
    [window] = gather([sighting(START, 70.0)], [], "day", date(2025, 10, 27))
    assert window.chronological_days == pytest.approx(70.5)
    assert window.gap_days == pytest.approx(-0.5)


def test_a_change_of_model_is_marked_where_the_first_new_reading_stands() -> None:
    captures = [capture(START + timedelta(hours=i), "a" if i < 3 else "b") for i in range(6)]
    [mark] = model_changes(captures)
    assert (mark.at, mark.text) == (START + timedelta(hours=3), "model aaaaaaaa → bbbbbbbb")


def test_a_silence_much_longer_than_usual_is_marked_and_the_usual_distance_is_not() -> None:
    hours = [*range(10), *range(30, 40)]
    [mark] = silences([capture(START + timedelta(hours=i)) for i in hours])
    assert (mark.at, mark.until) == (START + timedelta(hours=9), START + timedelta(hours=30))
    assert silences([capture(START + timedelta(days=3 * i)) for i in range(20)]) == []


def curve(number: int, offset: float, slope: float) -> Curve:
    born = date(2025, 6, 1)
    seen = []
    for week in range(0, 60, 3):
        at = datetime(2025, 6, 1, tzinfo=UTC) + timedelta(weeks=week + number)
        seen.append(sighting(at, offset + slope * (week + number) * 7))
    windows = gather(seen, [], "week", born)
    return Curve(f"M{number}", True, "d", "c", None, None, born, None, tuple(seen), (), windows, ())


def test_the_corrected_gap_is_freed_of_regression_to_the_mean_and_the_raw_one_is_not() -> None:
    curves = [curve(number, 100.0, 0.7) for number in range(4)]
    trend = fit_trend(curves)
    assert trend is not None
    assert (trend.offset_days, trend.slope, trend.animals) == (pytest.approx(100), pytest.approx(0.7), 4)
    first, last = curves[0].windows[0], curves[0].windows[-1]
    assert first.gap_days > 90 > 0 > last.gap_days
    assert trend.corrected_gap_days(first) == pytest.approx(0, abs=1e-6)
    assert trend.corrected_gap_days(last) == pytest.approx(0, abs=1e-6)


def test_two_animals_are_too_few_for_a_trend() -> None:
    assert fit_trend([curve(1, 0, 1), curve(2, 0, 1)]) is None
