"""Whose a reading is: from the device's name for it, the lab's table, and the dates that bound each animal. Pure.

Nothing is guessed. A reading is an animal's, or its cage's (animals that nothing tells apart), or nobody's: outside the
dates of the animal that it would otherwise be, or at a time that is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import NamedTuple

from station.registry.lifetime import (
    AFTER_DEATH,
    AFTER_DEPARTURE,
    BEFORE_ARRIVAL,
    BEFORE_BIRTH,
    Lifetime,
    days_s,
    lifetime,
)
from station.registry.subject import Stay, Subject
from station.registry.zones import Zones

NOT_TOLD_APART, NOT_IN_TABLE = "not_told_apart", "not_in_table"
SEVERAL_ANIMALS, TABLE_NAMES_ANOTHER = "several_animals", "table_names_another"
NO_ANIMAL_THEN, CLOCK_NEVER_SET, CLOCK_AHEAD = "no_animal_then", "clock_never_set", "clock_ahead"

NOBODYS = (BEFORE_BIRTH, BEFORE_ARRIVAL, AFTER_DEPARTURE, AFTER_DEATH, NO_ANIMAL_THEN, CLOCK_NEVER_SET, CLOCK_AHEAD)
CONTRADICTIONS = (SEVERAL_ANIMALS, TABLE_NAMES_ANOTHER)
"""Of a cage with one animal: the lab's table, or table and device, name several at once. A person can put it right."""

UNSYNCHRONISED, AHEAD = "unsynchronised", "ahead"
"""`time_basis` of a boot whose clock was never set, neither then nor by a later correction; of what is dated after it
came."""

_BY_SETTINGS = "single_housed"
"""The identity method that only repeats the device's settings; an ear tag is evidence from the picture."""


class Whose(NamedTuple):
    """The answer. subject: None where it is not one animal's, and then `reason` says why.

    about: the animals that the reason speaks of.
    """

    subject: str | None
    reason: str = ""
    about: tuple[str, ...] = ()

    @property
    def nobodys(self) -> bool:
        """Whether it belongs on no curve, not even the cage's."""
        return self.reason in NOBODYS


class Sight(NamedTuple):
    """What is known of one animal in one reading, or of a reading without animals (named None, found 0).

    A tuple, because millions of them are made: a frozen dataclass takes three times as long.
    """

    device: str
    cage: str
    at_s: float
    time_basis: str
    expected: int
    found: int
    named: str | None = None
    method: str = "none"


class Owners:
    """The lab's table, asked reading by reading."""

    def __init__(self, subjects: Sequence[Subject], zones: Zones) -> None:
        """Take the table and the time zones in which its dates are days."""
        self._subjects = subjects
        self._zones = zones
        self._by_name = {subject.subject: subject for subject in subjects}
        self._bounds: dict[tuple[str, str], Lifetime] = {}
        self._listed: dict[tuple[str, str], tuple[str, ...]] = {}

    def whose(self, sight: Sight) -> Whose:
        """Return whose it is."""
        if sight.time_basis == UNSYNCHRONISED:
            return Whose(None, CLOCK_NEVER_SET)
        if sight.time_basis == AHEAD:
            return Whose(None, CLOCK_AHEAD)
        listed = self.listed(sight.device, sight.cage)
        living = [name for name in listed if not self._away(name, sight)]
        if sight.named is not None:
            return self._named(sight.named, sight, living)
        if sight.expected != 1 or sight.found > 1:
            emptied = not living and len(listed) >= max(sight.expected, sight.found)  # else others live there
            return Whose(None, NO_ANIMAL_THEN, listed) if listed and emptied else Whose(None, NOT_TOLD_APART)
        if not listed:
            return Whose(None, NOT_IN_TABLE)
        if len(living) == 1:
            return Whose(living[0])
        if living:
            return Whose(None, SEVERAL_ANIMALS, tuple(living))
        return Whose(None, self._away(listed[0], sight) if len(listed) == 1 else NO_ANIMAL_THEN, listed)

    def listed(self, device: str, cage: str) -> tuple[str, ...]:
        """Return the animals that the table has in a cage, at whatever time."""
        place = (device, cage)
        if place not in self._listed:
            self._listed[place] = tuple(
                subject.subject
                for subject in self._subjects
                if _is_here(subject.cage, subject.device, device, cage)
                or any(_is_here(stay.cage, stay.device, device, cage) for stay in subject.stays)
            )
        return self._listed[place]

    def lives_in(self, name: str, device: str, cage: str, at_s: float) -> bool:
        """Return whether the table has an animal in a cage at a time."""
        return name in self.listed(device, cage) and not self._away(name, Sight(device, cage, at_s, "", 1, 1))

    def lifetime(self, name: str, device: str) -> Lifetime | None:
        """Return an animal's bounds in the room of a device, None of an animal that is not in the table."""
        subject = self._by_name.get(name)
        if subject is None:
            return None
        key = (name, device)
        if key not in self._bounds:
            self._bounds[key] = lifetime(asdict(subject), self._zones.of(device))
        return self._bounds[key]

    def _outside(self, name: str, sight: Sight) -> str:
        bounds = self.lifetime(name, sight.device)
        return bounds.outside(sight.at_s) if bounds is not None else ""

    def _away(self, name: str, sight: Sight) -> str:
        """Return why an animal was not in a cage of its own at the time, "" where it was: its dates and its moves."""
        reason = self._outside(name, sight)
        subject = self._by_name.get(name)
        if reason or subject is None or not subject.stays:
            return reason
        zone, earlier, later = self._zones.of(sight.device), False, False
        homes = [*subject.stays, Stay(subject.cage, subject.device, subject.stays[-1].until, "")]
        for home in homes:
            if not _is_here(home.cage, home.device, sight.device, sight.cage):
                continue
            begins, ends = days_s(home.since, home.until, zone)
            if begins <= sight.at_s < ends:
                return ""
            earlier, later = earlier or ends <= sight.at_s, later or sight.at_s < begins
        return AFTER_DEPARTURE if earlier else BEFORE_ARRIVAL if later else ""

    def _named(self, name: str, sight: Sight, living: Sequence[str]) -> Whose:
        outside = self._outside(name, sight)
        if sight.method != _BY_SETTINGS:
            return Whose(None, outside, (name,)) if outside else Whose(name)
        outside = self._away(name, sight)  # the settings may still name one that has moved
        others = [other for other in living if other != name]
        if not outside:
            # Two that the lab itself has in one cage at once; or a name of the settings that the table contradicts.
            if not others:
                return Whose(name)
            reason = SEVERAL_ANIMALS if name in living else TABLE_NAMES_ANOTHER
            return Whose(None, reason, (name, *others))
        if len(others) == 1:
            return Whose(others[0])  # the settings still name the animal before
        return Whose(None, SEVERAL_ANIMALS, tuple(others)) if others else Whose(None, outside, (name,))


def _is_here(home_cage: str | None, home_device: str | None, device: str, cage: str) -> bool:
    """Return whether a home of the table is this cage before this device."""
    return (home_cage == cage or (home_cage is None and home_device == device)) and home_device in (None, device)
