"""Whose an exported estimate is: the device's name for it and the lab's table, as the curves have it."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple

from station.registry.attribution import Owners, Sight
from station.registry.subjects import load_subjects
from station.registry.zones import Zones, load_zones

SIGHT = "r.device, r.cage, {at_s}, {basis}, r.expected_animals, r.found_animals"
"""What `Attribution.of` is to be given of a reading."""


class Named(NamedTuple):
    """The answer: what the columns of `animals.csv` show of it."""

    subject: str | None
    reason: str
    method: str
    confidence: float | None


class Attribution:
    """The lab's table of one moment, asked row by row."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read the table and the time zones."""
        self.zones: Zones = load_zones(connection)
        self.subjects = load_subjects(connection)
        self._owners = Owners(self.subjects, self.zones)
        self._texts: dict[bytes, str] = {}

    def of(self, sight: tuple[Any, ...], named: bytes | None, method: bytes, confidence: float | None) -> Named:
        """Return whose an estimate is. sight: a row of `SIGHT`, texts as bytes; named, method: as the device has it."""
        device, cage, at_s, basis, expected, found = sight
        text = self._text
        name, said = (None if named is None else text(named)), text(method)
        whose = self._owners.whose(
            Sight(text(device), text(cage), at_s, text(basis), count(expected), count(found), name, said)
        )
        if whose.subject is None:
            return Named(None, whose.reason, "none", None)
        if whose.subject == name:
            return Named(name, whose.reason, said, confidence)
        return Named(whose.subject, whose.reason, "lab_table", None)

    def of_reading(self, sight: tuple[Any, ...]) -> str | None:
        """Return the animal that a reading without estimates is of, None where it is no one animal's."""
        device, cage, at_s, basis, expected, _ = sight
        where = Sight(self._text(device), self._text(cage), at_s, self._text(basis), count(expected), 0)
        return self._owners.whose(where).subject

    def _text(self, raw: bytes) -> str:
        """Return a text, of the few that come again and again."""
        found = self._texts.get(raw)
        if found is None:
            if len(self._texts) >= 20_000:
                self._texts.clear()
            found = self._texts[raw] = text_of(raw)
        return found


def text_of(raw: object) -> str:
    """Return a text that the database gave as bytes; what is no UTF-8 has a sign in its place."""
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


def count(value: object) -> int:
    """Return a count; what a person has put there instead of one counts as 0."""
    return value if isinstance(value, int) else 0
