"""One reading as one line for a person at a terminal."""

from __future__ import annotations

from datetime import tzinfo

from edge.contract.reading import Reading

_MOST_DETAIL = 60


def describe_reading(reading: Reading, zone: tzinfo) -> str:
    """Return time in the room's zone, phase, outcome, and the age or why there is none."""
    at = reading.captured_at.astimezone(zone)
    clock = "" if reading.clock_synced else " (clock not set)"
    head = f"{at:%Y-%m-%d %H:%M:%S}{clock}  {reading.light.value:<7} {reading.outcome.value:<12}"
    return f"{head} {_what(reading)}".rstrip()


def _what(reading: Reading) -> str:
    parts = []
    for animal in reading.animals:
        name = f"{animal.subject}: " if animal.subject else ""
        if animal.accepted and animal.estimate is not None:
            of = animal.estimate
            ends = (of.interval_low_days, of.interval_high_days)
            interval = "no interval" if None in ends else f"{ends[0]:.0f}-{ends[1]:.0f}"
            parts.append(f"{name}{of.age_days:.0f} d ({interval})")
        else:
            parts.append(f"{name}no age ({', '.join(animal.reject_reasons) or 'not looked at'})")
    if not parts and reading.detail:
        parts.append(reading.detail[:_MOST_DETAIL])
    return "; ".join(parts)
