"""When an animal lived in its cage: the dates of the lab's table, checked, and as instants that bound its readings.

A date is a whole day of the room's own time zone: the days of birth, arrival, departure and death all belong to the
animal. Two animals that change places within a day share that day, so that its readings are neither's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from math import inf

DATES = ("date_of_birth", "date_of_arrival", "date_of_departure", "date_of_death")
"""In the order in which they happen."""

OLDEST_DAYS = 6 * 366
"""A laboratory mouse lives four years, the oldest known a little over five: an older date is a slip of the pen."""

BEFORE_BIRTH, BEFORE_ARRIVAL = "before_birth", "before_arrival"
AFTER_DEPARTURE, AFTER_DEATH = "after_departure", "after_death"


def wrong_date(column: str, day: date, today: date) -> str | None:
    """Return what is wrong with a date by itself, None where nothing is.

    today: the newest day anywhere on Earth, so that a lab ahead of UTC can enter what happened this morning.
    """
    oldest = today - timedelta(days=OLDEST_DAYS)
    if day > today:
        return f"{column}: expected no day after today, got {day}"
    if day < oldest:
        return f"{column}: expected a day since {oldest}, six years back (no mouse lives longer), got {day}"
    return None


def wrong_order(dates: Mapping[str, str | None]) -> str | None:
    """Return which two dates contradict each other, None where none do: birth, arrival, departure, death."""
    known = [(column, day) for column in DATES if (day := day_of(dates.get(column))) is not None]
    for (first, earlier), (second, later) in pairwise(known):
        if later < earlier:
            return f"{second} {later} lies before {first} {earlier}"
    return None


def day_of(text: str | None) -> date | None:
    """Return the day of YYYY-MM-DD, None where the text is none (older versions stored what they were given)."""
    try:
        return date.fromisoformat(text) if text else None
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Lifetime:
    """An animal's bounds as Unix seconds, half open; minus or plus infinity where no date is known."""

    born_s: float
    arrived_s: float
    left_s: float
    died_s: float

    def outside(self, at_s: float) -> str:
        """Return why an instant is not the animal's, "" where it is."""
        if at_s < self.born_s:
            return BEFORE_BIRTH
        if at_s < self.arrived_s:
            return BEFORE_ARRIVAL
        if at_s >= self.left_s:
            return AFTER_DEPARTURE
        return AFTER_DEATH if at_s >= self.died_s else ""


def lifetime(dates: Mapping[str, str | None], zone: tzinfo) -> Lifetime:
    """Return the bounds that an animal's dates set in a room of this time zone."""
    day = {column: day_of(dates.get(column)) for column in DATES}
    return Lifetime(
        born_s=_begins_s(day["date_of_birth"], zone, -inf),
        arrived_s=_begins_s(day["date_of_arrival"], zone, -inf),
        left_s=_ends_s(day["date_of_departure"], zone),
        died_s=_ends_s(day["date_of_death"], zone),
    )


def days_s(first: str | None, last: str | None, zone: tzinfo) -> tuple[float, float]:
    """Return the bounds (Unix seconds, half open) of whole days; infinite where a day is not known."""
    return _begins_s(day_of(first), zone, -inf), _ends_s(day_of(last), zone)


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return the instant (UTC) at which a day begins in a zone."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _begins_s(day: date | None, zone: tzinfo, unknown: float) -> float:
    try:
        return unknown if day is None else midnight(day, zone).timestamp()
    except (OverflowError, ValueError):  # year 1 or 9999 of a database that an older version filled
        return unknown


def _ends_s(day: date | None, zone: tzinfo) -> float:
    try:
        return _begins_s(None if day is None else day + timedelta(days=1), zone, inf)
    except OverflowError:
        return inf
