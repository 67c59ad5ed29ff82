"""One sequence of records in a SQLite file: (epoch, seq), bodies as they will be sent, epochs.

`outbox.db` and `delivery.db` hold one each. A body is the exact JSON without the head's fields.
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.contract import identity

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs(
    number INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL UNIQUE, last_seq INTEGER NOT NULL,
    begun_at TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records(
    id INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    schema TEXT NOT NULL, recorded_at TEXT NOT NULL, body BLOB NOT NULL, digest TEXT NOT NULL,
    thumbnail TEXT, thumbnail_bytes INTEGER NOT NULL DEFAULT 0, UNIQUE(epoch, seq));
CREATE INDEX IF NOT EXISTS pictures ON records(thumbnail, thumbnail_bytes) WHERE thumbnail IS NOT NULL;
CREATE INDEX IF NOT EXISTS kinds ON records(kind, id);
"""
"""Epoch and seq are columns of the one table because a file can outlive an epoch (a cloned or restored card)."""

COLUMNS = "epoch, seq, kind, schema, recorded_at, body, digest, thumbnail, thumbnail_bytes"


@dataclass(frozen=True, slots=True)
class Row:
    """One stored record. kind: the stream it goes out on, `reading` or `record`; thumbnail: sha256 or None."""

    epoch: str
    seq: int
    kind: str
    schema: str
    recorded_at: str
    body: bytes
    digest: str
    thumbnail: str | None
    thumbnail_bytes: int


def new_row(
    epoch: str, seq: int, kind: str, schema: str, recorded_at: datetime, body: bytes, picture: bytes | None, sha: str
) -> Row:
    """Return the row of a body and, where there is one, of its picture's bytes with their sha256."""
    named, size = (None, 0) if picture is None else (sha, len(picture))
    return Row(epoch, seq, kind, schema, _text(recorded_at), body, identity.digest(body), named, size)


class Sequence:
    """The writer's view of the tables; every change happens in a transaction of the caller's."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read where the newest epoch stands; there may be none yet."""
        self.connection = connection
        self.epoch, self.last_seq = "", 0
        self.reload()

    def reload(self) -> None:
        """Read epoch and last seq again: after a rollback memory may be ahead of the file."""
        found = self.connection.execute("SELECT epoch, last_seq FROM epochs ORDER BY number DESC LIMIT 1").fetchone()
        self.epoch, self.last_seq = found if found is not None else ("", 0)

    def begin_epoch(self, reason: str) -> str:
        """Begin an epoch of 128 random bits, never a time, and return it."""
        self.epoch, self.last_seq = secrets.token_hex(16), 0
        self.connection.execute(
            "INSERT INTO epochs(epoch, last_seq, begun_at, reason) VALUES (?, 0, ?, ?)",
            (self.epoch, _text(datetime.now(UTC)), reason),
        )
        return self.epoch

    def adopt(self, epoch: str, last_seq: int, reason: str) -> None:
        """Know an older epoch of another file, so that what was saved of it can still be sent."""
        self.connection.execute(
            "INSERT OR IGNORE INTO epochs(epoch, last_seq, begun_at, reason) VALUES (?, ?, ?, ?)",
            (epoch, last_seq, _text(datetime.now(UTC)), reason),
        )

    def insert(self, row: Row) -> None:
        """Store the next record of the newest epoch."""
        self.connection.execute("UPDATE epochs SET last_seq = ? WHERE epoch = ?", (row.seq, row.epoch))
        self.put(row)
        self.last_seq = row.seq

    def put(self, row: Row) -> None:
        """Store a record under its own identity."""
        self.connection.execute(
            f"INSERT INTO records({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.epoch,
                row.seq,
                row.kind,
                row.schema,
                row.recorded_at,
                row.body,
                row.digest,
                row.thumbnail,
                row.thumbnail_bytes,
            ),
        )

    def meta(self, key: str) -> str | None:
        """Return a remembered text."""
        found = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember a text."""
        self.connection.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?, ?)", (key, value))


def _text(at: datetime) -> str:
    """Return a UTC time as text that sorts by time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
