"""Zeitgeber time follows the room's light, not the wall's calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge.config.tree import LightCycle
from edge.config.zone import zone_of
from edge.contract.reading import Light
from edge.errors import ConfigError
from edge.timing.zeitgeber import light_at, zeitgeber_h

INSTANTS = st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("zone", "utc_hour", "expected_h"),
    [("+00:00", 7, 0.0), ("+00:00", 6, 23.0), ("+01:00", 6, 0.0), ("-05:30", 12, 23.5), ("Asia/Kolkata", 2, 0.5)],
)
def test_hours_count_from_lights_on_in_the_rooms_zone(zone: str, utc_hour: int, expected_h: float) -> None:
    at = datetime(2026, 1, 15, utc_hour, 0, tzinfo=UTC)
    assert zeitgeber_h(at, LightCycle(lights_on="07:00", zone=zone)) == pytest.approx(expected_h)


@given(INSTANTS, st.sampled_from(["+00:00", "+12:45", "Europe/Zurich", "Pacific/Apia", "Australia/Lord_Howe"]))
def test_zeitgeber_time_stays_within_a_day(at: datetime, zone: str) -> None:
    assert 0.0 <= zeitgeber_h(at, LightCycle(lights_on="02:30", zone=zone)) <= 24.0


@given(INSTANTS)
def test_a_fixed_offset_knows_no_summer_time(at: datetime) -> None:
    cycle = LightCycle(lights_on="06:00", zone="+01:00")
    tomorrow = zeitgeber_h(at + timedelta(days=1), cycle)
    assert tomorrow == pytest.approx(zeitgeber_h(at, cycle), abs=1e-6)


def test_the_phase_changes_at_lights_off() -> None:
    cycle = LightCycle(lights_on="07:00", light_hours=12)
    assert light_at(datetime(2026, 1, 1, 18, 59, 59, tzinfo=UTC), cycle) is Light.LIGHT
    assert light_at(datetime(2026, 1, 1, 19, 0, 0, tzinfo=UTC), cycle) is Light.DARK


@pytest.mark.parametrize("text", ["", "CET+1", "1:00", "+1:00", "../etc/passwd", "Europe", "/etc/localtime"])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"light_cycle\.zone"):
        zone_of(text)


@pytest.mark.parametrize(
    ("local", "phase"),
    [
        # 20:00 to 08:00 by the clock on the wall, with a timer that follows daylight saving
        ("2024-03-30 20:30", Light.LIGHT),
        ("2024-03-31 07:45", Light.LIGHT),
        ("2024-03-31 08:15", Light.DARK),  # 11 h of light that night
        ("2024-10-27 07:15", Light.LIGHT),  # 13 h
        ("2024-10-27 07:59", Light.LIGHT),
        ("2024-10-27 08:15", Light.DARK),
        ("2024-06-01 07:59", Light.LIGHT),
        ("2024-06-01 08:00", Light.DARK),
    ],
)
def test_the_light_goes_off_by_the_clock_on_the_wall_also_when_it_was_set_that_night(local: str, phase: Light) -> None:
    cycle = LightCycle(lights_on="20:00", light_hours=12, zone="Europe/Zurich")
    at = datetime.fromisoformat(local).replace(tzinfo=zone_of("Europe/Zurich"))
    assert light_at(at.astimezone(UTC), cycle) is phase


@given(INSTANTS, st.floats(0.5, 23.5), st.sampled_from(["20:00", "07:00", "02:30", "23:45"]))
def test_it_is_light_from_lights_on_for_so_many_hours_of_wall_time(at: datetime, hours: float, on: str) -> None:
    """Seen from the wall's clock alone, but for the hour that a change of the clock repeats or skips."""
    cycle = LightCycle(lights_on=on, light_hours=hours, zone="America/New_York")
    wall = at.astimezone(zone_of(cycle.zone)).replace(tzinfo=None)
    begin = datetime.combine(wall.date(), datetime.fromisoformat(f"2000-01-01 {on}").time())
    begin -= timedelta(days=wall < begin)
    near = min(abs(wall - edge) for edge in (begin, begin + timedelta(hours=hours), begin + timedelta(days=1)))
    assume(near > timedelta(hours=1))
    assert (light_at(at, cycle) is Light.LIGHT) == (wall < begin + timedelta(hours=hours))
