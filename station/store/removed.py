"""What stands where retention removed a body or a picture: that it was meant, by which line of the audit table.

A row keeps its key and its digest, so that what comes again is known and nothing is stored or counted twice.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

BODIES, THUMBNAILS = "bodies", "thumbnails"
LOG = """
CREATE TABLE IF NOT EXISTS retention_log (
    id INTEGER PRIMARY KEY, began_at REAL NOT NULL, ended_at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    kind TEXT NOT NULL, older_than_days INTEGER NOT NULL, before_s REAL NOT NULL, removed INTEGER NOT NULL,
    bytes INTEGER NOT NULL, first_s REAL NOT NULL, last_s REAL NOT NULL, devices TEXT NOT NULL
)"""
"""One line a pass and rule, written with what it removed: who, when (Unix seconds), the rule, how many and how large,
when the first and the last of it had come, and how many of each device (JSON). Made by the first removal."""

_BODY: Final = b"\x00"
"""First byte in the place of a removed body; a packed body begins with 1, a JSON object with `{`."""
_PATH: Final = "removed:"


@dataclass(frozen=True, slots=True)
class BodyMark:
    """In the place of a body. line: of the audit table. rows: digest of what was derived from the body.

    widths: how many columns each of those tables had, as a later version may add some behind them.
    """

    line: int
    rows: str
    widths: Mapping[str, int]


Derived = Mapping[str, Sequence[Sequence[Any]]]
"""Table to its rows, of one record."""


def mark_body(line: int, derived: Derived) -> bytes:
    """Return what is stored in the place of a body."""
    widths = {table: len(rows[0]) for table, rows in derived.items() if rows}
    said = {"line": line, "rows": digest_rows(derived, widths), "widths": widths}
    return _BODY + json.dumps(said, separators=(",", ":")).encode()


def read_body_mark(stored: bytes) -> BodyMark | None:
    """Return the mark that stands in the place of a body, None where a body stands there.

    Raises:
        ValueError: it begins like a mark and is none.
    """
    if not stored.startswith(_BODY):
        return None
    found = json.loads(stored[1:])
    try:
        widths = {str(table): int(width) for table, width in found["widths"].items()}
        return BodyMark(int(found["line"]), str(found["rows"]), widths)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"expected the mark of a removed body, got one without {error}") from error


def digest_rows(derived: Derived, widths: Mapping[str, int]) -> str:
    """Return a digest of rows, of each its first columns."""
    said = {table: [list(row[: widths[table]]) for row in rows] for table, rows in derived.items() if table in widths}
    return hashlib.sha256(repr(sorted(said.items())).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def mark_path(line: int) -> str:
    """Return what stands in the place of a removed picture's path."""
    return f"{_PATH}{line}"


def read_path_mark(path: object) -> int | None:
    """Return the line of the audit table that removed a picture, None where the path is a file's."""
    text = str(path)
    if not text.startswith(_PATH):
        return None
    number = text.removeprefix(_PATH)
    return int(number) if number.isascii() and number.isdigit() else 0


def is_in_log(connection: sqlite3.Connection, line: int, what: str, received_at: object) -> bool:
    """Return whether a line of the audit table says that it removed something that came then."""
    try:
        found = connection.execute(
            "SELECT 1 FROM main.retention_log WHERE id = ? AND what = ? AND ? BETWEEN first_s AND last_s",
            (line, what, received_at),
        ).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return False
    return found is not None
