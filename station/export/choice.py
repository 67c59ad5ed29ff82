"""Which part of the log is exported: animals, cages, a span of time, accepted estimates only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from math import inf

from edge.errors import OperatorError
from station.registry.lifetime import midnight
from station.registry.subjects import load_subjects

Bound = date | datetime
"""A day of the room, or an instant with its offset from UTC."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for; by default all. since, until: both days included; an instant ends the span before it.

    untimed_only: only readings of which nobody knows when they were.
    """

    subjects: frozenset[str] = frozenset()
    cages: frozenset[str] = frozenset()
    since: Bound | None = None
    until: Bound | None = None
    accepted_only: bool = False
    untimed_only: bool = False

    @property
    def timed(self) -> bool:
        """Whether readings are left out by their time, and so all of which no time is known."""
        return self.since is not None or self.until is not None

    def window(self, zone: tzinfo) -> tuple[float, float]:
        """Return the span as Unix seconds, half open, in a room of this time zone."""
        first = -inf if self.since is None else _instant(self.since, zone).timestamp()
        if self.until is None:
            return first, inf
        until = self.until if isinstance(self.until, datetime) else self.until + timedelta(days=1)
        return first, _instant(until, zone).timestamp()


def make_choice(
    subjects: Iterable[str], cages: Iterable[str], since: str | None, until: str | None, *, accepted_only: bool
) -> Choice:
    """Return the choice that a command line makes.

    Raises:
        OperatorError: a bound is neither a day nor a time with its offset from UTC, or the span ends before it begins.
    """
    begins, ends = (
        None if text is None else _bound(name, text) for name, text in (("--since", since), ("--until", until))
    )
    choice = Choice(frozenset(subjects), frozenset(cages), begins, ends, accepted_only)
    if begins is not None and ends is not None:
        zone = next((one.tzinfo for one in (begins, ends) if isinstance(one, datetime) and one.tzinfo), None)
        first, after = choice.window(zone or UTC)
        if first >= after:
            raise OperatorError(f"--until: expected a time after --since {since}, got {until}")
    return choice


def check_names(connection: sqlite3.Connection, choice: Choice) -> None:
    """Refuse an animal or a cage that neither the lab's table nor a reading names: its export would be empty.

    Raises:
        OperatorError: such a name.
    """
    subjects = load_subjects(connection)
    cages = {cage for one in subjects for cage in (one.cage, *(stay.cage for stay in one.stays))}
    for name in sorted(choice.subjects - {one.subject for one in subjects}):
        if not connection.execute("SELECT 1 FROM main.animals WHERE subject = ? LIMIT 1", (name,)).fetchone():
            raise OperatorError(f"--subject: expected an animal of the lab's table or of a reading, got {name!r}")
    for name in sorted(choice.cages - cages):
        if not connection.execute("SELECT 1 FROM days WHERE cage = ? LIMIT 1", (name,)).fetchone() and not (
            connection.execute("SELECT 1 FROM main.readings WHERE cage = ? LIMIT 1", (name,)).fetchone()
        ):
            raise OperatorError(f"--cage: expected a cage of the lab's table or of a reading, got {name!r}")


def _bound(name: str, text: str) -> Bound:
    expected = "expected a day (2026-03-01) or a time with its offset from UTC (2026-03-01T08:00+01:00)"
    try:
        if len(text) == len("2026-03-01"):
            return date.fromisoformat(text)
        found = datetime.fromisoformat(text)
    except ValueError:
        raise OperatorError(f"{name}: {expected}, got {text!r}") from None
    if found.tzinfo is None:
        raise OperatorError(f"{name}: {expected}, got {text!r}, which is another time in each zone")
    return found


def _instant(bound: Bound, zone: tzinfo) -> datetime:
    return bound if isinstance(bound, datetime) else midnight(bound, zone)
