"""Zeitgeber time follows the room's light, not the wall's calendar."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.tree import LightCycle
from edge.contract.reading import Light
from edge.errors import ConfigError
from edge.timing.zeitgeber import light_at, zeitgeber_h, zone_of

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
