"""What publish reports of records that may be released: in `delivery.db`, and, unsynced, in two slots beside it.

A watermark rises with every reading; a commit for each would cost the card as much as the reading's own row. What only
rises is written over in place (`edge.outbox.two_slots`); losing it in a power cut costs a resend. Everything else, a
lower watermark above all, is committed to the table. The table and the slots belong together by a number that each
commit draws anew: slots of another one say nothing.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.contract.ranges import RangeSet
from edge.errors import StorageError
from edge.outbox.database import FAILURES, open_reader
from edge.outbox.row import checksum
from edge.outbox.two_slots import fits, read_slots, write_slots

WATERMARKS = """
CREATE TABLE IF NOT EXISTS watermarks(
    epoch TEXT PRIMARY KEY, records TEXT NOT NULL, thumbnails TEXT NOT NULL,
    seal TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
"""


SLOTS = "-released"
"""What follows the database's name in that of the file with the slots."""
COMMITTED = "released_as"
"""The remembered text: the number that the last commit of watermarks drew."""


@dataclass(frozen=True, slots=True)
class Released:
    """Sequence numbers accounted for elsewhere: of records, and of their thumbnails."""

    records: RangeSet = field(default_factory=RangeSet)
    thumbnails: RangeSet = field(default_factory=RangeSet)


def read_released(path: Path) -> dict[str, Released]:
    """Return what is released per epoch; nothing is while `delivery.db` is missing or cannot be read.

    A row that is not what was written releases nothing: publish writes it anew with the station's next message.
    """
    committed = _read(path, f"SELECT value FROM meta WHERE key = '{COMMITTED}'")
    risen = _read_risen(path, str(committed[0][0])) if committed else None
    if risen is not None:
        return risen
    found = {}
    for epoch, records, pictures, was in _read(path, "SELECT epoch, records, thumbnails, seal FROM watermarks"):
        if was == checksum(epoch, records, pictures):
            found[epoch] = Released(decode_ranges(records), decode_ranges(pictures))
    return found


def write_risen(path: Path, committed: str, released: Mapping[str, Released]) -> bool:
    """Return whether watermarks that only rose were written over in place, under the number of the last commit."""
    content = json.dumps([committed, encode_watermarks(released)], separators=(",", ":")).encode()
    if not committed or not fits(content):
        return False
    try:
        write_slots(_slots_of(path), content)
    except OSError:  # a full disk, for example
        return False
    return True


def rises(released: Mapping[str, Released], before: Mapping[str, Released]) -> bool:
    """Return whether all that was released before still is."""
    return all(
        epoch in released
        and _holds(released[epoch].records, held.records)
        and _holds(released[epoch].thumbnails, held.thumbnails)
        for epoch, held in before.items()
    )


def new_number() -> str:
    """Return what a commit of watermarks is known by: random, so that no copy of a card has the same."""
    return secrets.token_hex(8)


def _holds(ranges: RangeSet, others: RangeSet) -> bool:
    return all(not list(ranges.missing(first, last)) for first, last in others)


def _read_risen(path: Path, committed: str) -> dict[str, Released] | None:
    """Return what the slots hold; None where that is nothing, or belongs to another commit."""
    try:
        number, rows = json.loads(read_slots(_slots_of(path)))
        if number != committed:
            return None
        return {epoch: Released(decode_ranges(records), decode_ranges(pictures)) for epoch, records, pictures in rows}
    except (OSError, ValueError, TypeError):
        return None


def _slots_of(path: Path) -> Path:
    return path.with_name(path.name + SLOTS)


def read_check_request(path: Path) -> str:
    """Return publish's newest request to check the outbox, "" for none; see `PublishFile.request_check`."""
    found = _read(path, "SELECT value FROM meta WHERE key = 'outbox_doubt'")
    return str(found[0][0]) if found else ""


def _read(path: Path, query: str) -> list[Any]:
    if not path.exists():
        return []
    connection = None
    try:
        connection = open_reader(path)
        return connection.execute(query).fetchall()
    except (*FAILURES, StorageError, OSError):
        return []
    finally:
        if connection is not None:
            connection.close()


def encode_watermarks(released: Mapping[str, Released]) -> list[tuple[str, str, str]]:
    """Return the rows of what is released: epoch, records, thumbnails."""
    return [(epoch, encode_ranges(held.records), encode_ranges(held.thumbnails)) for epoch, held in released.items()]


def replace_watermarks(connection: sqlite3.Connection, rows: list[tuple[str, str, str]]) -> None:
    """Make the table hold these rows, each under its checksum, within the caller's transaction.

    A card may hold thousands of epochs, of which one changes at a time: only rows that differ are written.
    """
    found = connection.execute("SELECT epoch, records, thumbnails, seal FROM watermarks").fetchall()
    wanted = {row[0]: (*row, checksum(*row)) for row in rows}
    gone = [(row[0],) for row in found if row[0] not in wanted]
    connection.executemany("DELETE FROM watermarks WHERE epoch = ?", gone)
    there = {tuple(row) for row in found}
    query = "INSERT OR REPLACE INTO watermarks(epoch, records, thumbnails, seal) VALUES (?, ?, ?, ?)"
    connection.executemany(query, [row for row in wanted.values() if row not in there])


def add_watermark_checksums(connection: sqlite3.Connection) -> None:
    """Give those of an earlier version their checksums."""
    if any(name == "seal" for _, name, *_ in connection.execute("PRAGMA table_info(watermarks)").fetchall()):
        return
    connection.execute("ALTER TABLE watermarks ADD COLUMN seal TEXT NOT NULL DEFAULT ''")
    for values in connection.execute("SELECT epoch, records, thumbnails FROM watermarks").fetchall():
        connection.execute("UPDATE watermarks SET seal = ? WHERE epoch = ?", (checksum(*values), values[0]))


def encode_ranges(ranges: RangeSet) -> str:
    """Return the ranges as JSON text."""
    return json.dumps(list(ranges), separators=(",", ":"))


def decode_ranges(text: str) -> RangeSet:
    """Return the ranges that `encode_ranges` wrote."""
    return RangeSet((first, last) for first, last in json.loads(text))
