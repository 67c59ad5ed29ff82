"""The animals' clock: hours since the room's light went on, and the phase that follows from it.

Zeitgeber time 0 is lights-on. Most animal rooms keep a fixed offset all year; a room whose timer follows daylight
saving is given by its IANA zone. Wall time only labels: nothing here decides when a picture is taken but through the
phase.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from edge.config.tree import LightCycle
from edge.config.zone import zone_of
from edge.contract.reading import Light


def last_lights_on(at: datetime, cycle: LightCycle) -> datetime:
    """Return the newest instant (UTC) at or before `at` at which the light went on."""
    zone = zone_of(cycle.zone)
    clock_time = time.fromisoformat(cycle.lights_on)
    today = at.astimezone(zone).date()
    for days_back in (-1, 0, 1, 2):
        candidate = datetime.combine(today - timedelta(days=days_back), clock_time, zone).astimezone(UTC)
        if candidate <= at:
            return candidate
    raise AssertionError("some lights-on lies within two days before any instant")


def zeitgeber_h(at: datetime, cycle: LightCycle) -> float:
    """Return the hours since lights-on, 0-24; the 25th hour of a day that ends summer time stays 24."""
    hours = (at - last_lights_on(at, cycle)).total_seconds() / 3600.0
    return min(hours, 24.0)


def light_at(at: datetime, cycle: LightCycle) -> Light:
    """Return the phase of the animals' day at an instant."""
    return Light.LIGHT if at < lights_off_after(last_lights_on(at, cycle), cycle) else Light.DARK


def lights_off_after(lights_on_at: datetime, cycle: LightCycle) -> datetime:
    """Return the instant (UTC) at which the light that went on then goes off again.

    The room's timer goes by the clock on the wall: from 20:00 with 12 hours it goes off at 08:00, also in the night in
    which the clock is set, 11 or 13 hours later.
    """
    zone = zone_of(cycle.zone)
    on = lights_on_at.astimezone(zone)
    clock_time = time.fromisoformat(cycle.lights_on)  # where the clock skips that time, the light goes on later
    off = datetime.combine(on.date(), clock_time) + timedelta(hours=cycle.light_hours)
    return off.replace(tzinfo=zone).astimezone(UTC)
