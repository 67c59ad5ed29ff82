"""Notes and weighings: what people enter beside the table of animals."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import isfinite
from pathlib import Path

from edge.contract.tables.number import read_cell
from edge.errors import OperatorError
from station.page.changes import keep_change
from station.page.database import page_database
from station.printable import has_control_characters
from station.registry.lifetime import day_of, wrong_date
from station.registry.subject import newest_day
from station.transaction import transaction

MOST_LETTERS = 2000
LEAST_GRAMS, MOST_GRAMS = 1.0, 120.0
"""A pup at birth weighs over one gram, the heaviest obese mice about a hundred."""


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote about an animal or a cage."""

    at: datetime
    who: str
    day: str
    text: str


@dataclass(frozen=True, slots=True)
class Weighing:
    """One weight of an animal."""

    at: datetime
    who: str
    day: str
    grams: float


def load_notes(data: Path, kind: str, name: str) -> list[Note]:
    """Return the notes about an animal or a cage, newest first."""
    with page_database(data) as connection:
        rows = connection.execute(
            "SELECT at, who, day, text FROM notes WHERE kind = ? AND name = ? ORDER BY day DESC, id DESC LIMIT 500",
            (kind, name),
        ).fetchall()
    return [Note(datetime.fromtimestamp(row[0], UTC), *row[1:]) for row in map(tuple, rows)]


def load_weighings(data: Path, subject: str) -> list[Weighing]:
    """Return an animal's weights, newest first."""
    with page_database(data) as connection:
        rows = connection.execute(
            "SELECT at, who, day, grams FROM weighings WHERE subject = ? ORDER BY day DESC, id DESC LIMIT 1000",
            (subject,),
        ).fetchall()
    return [Weighing(datetime.fromtimestamp(row[0], UTC), *row[1:]) for row in map(tuple, rows)]


def add_note(data: Path, who: str, kind: str, name: str, day: str, text: str) -> None:
    """Keep a note.

    Raises:
        OperatorError: the text is empty or too long, or the day is none.
    """
    text = text.replace("\r\n", "\n").strip()
    if not text or len(text) > MOST_LETTERS or has_control_characters(text.replace("\n", " ")):
        raise OperatorError(f"note: expected 1 to {MOST_LETTERS} letters without control characters, got {len(text)}")
    checked = check_day(day)
    with page_database(data) as connection, transaction(connection):
        _insert(connection, "notes (at, who, kind, name, day, text)", time.time(), who, kind, name, checked, text)
        keep_change(connection, who, "noted", name, {}, {"day": checked, "text": text})


def add_weighing(data: Path, who: str, subject: str, day: str, grams: str) -> float:
    """Keep a weight and return it.

    Raises:
        OperatorError: it is no weight of a mouse, or the day is none.
    """
    weight, checked = read_grams(grams), check_day(day)
    with page_database(data) as connection, transaction(connection):
        before = connection.execute(
            "SELECT grams FROM weighings WHERE subject = ? AND day <= ? ORDER BY day DESC, id DESC LIMIT 1",
            (subject, checked),
        ).fetchone()
        _insert(connection, "weighings (at, who, subject, day, grams)", time.time(), who, subject, checked, weight)
        earlier = {"grams": before["grams"]} if before is not None else {}
        keep_change(connection, who, "weighed", subject, earlier, {"day": checked, "grams": weight})
    return weight


def read_grams(text: str) -> float:
    """Return a weight, written with a decimal point or a decimal comma.

    Raises:
        OperatorError: what was expected and what came.
    """
    cell = read_cell(text.strip())
    found: set[float] = set()
    if cell is not None and cell.unit in ("", "g") and not cell.limit:
        # Of two ways to read it, as thousands or with a decimal comma, one at most is a mouse's weight.
        found = {value for value in (cell.point, cell.comma) if value is not None and isfinite(value)}
    found = {value for value in found if LEAST_GRAMS <= value <= MOST_GRAMS}
    if len(found) != 1:
        raise OperatorError(f"weight: expected grams between {LEAST_GRAMS:g} and {MOST_GRAMS:g}, got {text[:40]!r}")
    return round(found.pop(), 2)


def check_day(text: str) -> str:
    """Return a day as YYYY-MM-DD.

    Raises:
        OperatorError: it is none, or one to come.
    """
    day: date | None = day_of(text)
    wrong = f"day: expected YYYY-MM-DD, got {text[:40]!r}" if day is None else wrong_date("day", day, newest_day())
    if day is None or wrong is not None:
        raise OperatorError(wrong or "day")
    return day.isoformat()


def _insert(connection: sqlite3.Connection, columns: str, *values: object) -> None:
    connection.execute(f"INSERT INTO {columns} VALUES ({', '.join('?' * len(values))})", values)
