"""What publish reports through `delivery.db`: which records may be released."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.contract.ranges import RangeSet
from edge.errors import StorageError
from edge.outbox.database import FAILURES, open_reader
from edge.outbox.row import checksum

WATERMARKS = """
CREATE TABLE IF NOT EXISTS watermarks(
    epoch TEXT PRIMARY KEY, records TEXT NOT NULL, thumbnails TEXT NOT NULL,
    seal TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Released:
    """Sequence numbers accounted for elsewhere: of records, and of their thumbnails."""

    records: RangeSet = field(default_factory=RangeSet)
    thumbnails: RangeSet = field(default_factory=RangeSet)


def read_released(path: Path) -> dict[str, Released]:
    """Return what is released per epoch; nothing is while `delivery.db` is missing or cannot be read.

    A row that is not what was written releases nothing: publish writes it anew with the station's next message.
    """
    found = {}
    for epoch, records, pictures, was in _read(path, "SELECT epoch, records, thumbnails, seal FROM watermarks"):
        if was == checksum(epoch, records, pictures):
            found[epoch] = Released(decode_ranges(records), decode_ranges(pictures))
    return found


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
