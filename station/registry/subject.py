"""One animal of the lab's own table, and what a row of a file says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from station.printable import from_cell, has_control_characters, printable
from station.registry.lifetime import DATES, wrong_date

SEXES = ("female", "male", "unknown")
_SEX_WORDS = {"f": "female", "m": "male", "u": "unknown"}

CLEAR = "(clear)"
"""The cell that empties what is known; an empty cell or an absent column keeps it."""


class Stay(NamedTuple):
    """A cage in which an animal lived before: from a day to a day of its room, both its own; None: from the first."""

    cage: str | None
    device: str | None
    since: str | None
    until: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One animal. strain by MGI nomenclature; dates as YYYY-MM-DD; cage and device as its readings name them.

    stays: where it lived before, oldest first; the last one ends on the day that it came into its present cage.
    """

    subject: str
    strain: str | None = None
    sex: str | None = None
    date_of_birth: str | None = None
    date_of_arrival: str | None = None
    cage: str | None = None
    device: str | None = None
    date_of_departure: str | None = None
    date_of_death: str | None = None
    arm: str | None = None
    notes: str | None = None
    stays: tuple[Stay, ...] = ()

    def cells(self) -> tuple[str | None, ...]:
        """Return the values of `COLUMNS`."""
        return tuple(getattr(self, column) for column in COLUMNS)


COLUMNS = tuple(field.name for field in fields(Subject) if field.name != "stays")

Cells = Mapping[str, str]
"""One row of a file: column to text, trimmed."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a row of a file says of an animal.

    said: column to value, None where it is to be emptied; columns of which the row says nothing are not in it.
    """

    line: int
    subject: str
    said: Mapping[str, str | None]


def row_of(line: int, cells: Cells) -> Row:
    """Return what a row of a file says.

    Raises:
        ValueError: what was expected and what came, without file and line.
    """
    for column, text in cells.items():
        if has_control_characters(text):
            raise ValueError(f"{column}: expected text without control characters, got '{printable(text)}'")
    said: dict[str, str | None] = {}
    for column, text in cells.items():
        if text.lower() == CLEAR:
            said[column] = None
        elif text:
            said[column] = _value(column, from_cell(text))
    name = said.pop("subject", None)
    if name is None:
        raise ValueError(f"expected a name under subject, got {cells.get('subject') or 'an empty field'}")
    return Row(line, name, said)


def _value(column: str, text: str) -> str:
    if column in DATES:
        return _day(column, text)
    if column != "sex":
        return text
    sex = _SEX_WORDS.get(text.lower(), text.lower())
    if sex not in SEXES:
        raise ValueError(f"sex: expected {', '.join(SEXES)}, got {text!r}")
    return sex


def _day(column: str, text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        hint = f"; an empty cell keeps what is known, {CLEAR} empties it"
        raise ValueError(f"{column}: expected YYYY-MM-DD, got {text!r}{hint}") from None
    wrong = wrong_date(column, day, newest_day())
    if wrong is not None:
        raise ValueError(wrong)
    return day.isoformat()


def newest_day() -> date:
    """Return the newest day that it is anywhere on Earth now."""
    return (datetime.now(UTC) + timedelta(hours=14)).date()
