"""One sequence of records in a SQLite file: (epoch, seq), bodies as they will be sent, epochs.

`outbox.db` and `delivery.db` hold one each. A body is the exact JSON without the head's fields.
"""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import astuple, replace
from datetime import UTC, datetime

from edge.errors import DatabaseDamaged
from edge.outbox.row import COLUMNS, Row, checksum, column_time, with_checksum

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(
    key TEXT PRIMARY KEY, value TEXT NOT NULL, seal TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs(
    number INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL UNIQUE, last_seq INTEGER NOT NULL,
    begun_at TEXT NOT NULL, reason TEXT NOT NULL, seal TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS records(
    id INTEGER PRIMARY KEY AUTOINCREMENT, epoch TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    schema TEXT NOT NULL, recorded_at TEXT NOT NULL, body BLOB NOT NULL, digest TEXT NOT NULL,
    thumbnail TEXT, thumbnail_bytes INTEGER NOT NULL DEFAULT 0, seal TEXT NOT NULL DEFAULT '', UNIQUE(epoch, seq));
CREATE INDEX IF NOT EXISTS pictures ON records(thumbnail, thumbnail_bytes) WHERE thumbnail IS NOT NULL;
DROP INDEX IF EXISTS kinds;
"""
"""Epoch and seq are columns of the one table because a file outlives an epoch: each start of a process begins one.

seal: the column that holds a checksum over the row's others. SQLite has none of its own: a bit that flips in a text
leaves a valid text.
kinds: an index of earlier versions. Nearly all rows are readings, so that it found nothing faster, and cost the card a
block a reading.
"""

PREDECESSOR = "link "
"""Of the remembered texts' names; the epoch follows. The text: start counter, the epoch before, its last number."""
NEWEST = 20
START = "start"
"""The reason of an epoch that a plain start of a process began; others interrupt an ageing curve."""


class Sequence:
    """The writer's view of the tables; every change happens in a transaction of the caller's."""

    def __init__(self, connection: sqlite3.Connection, epoch: str = "") -> None:
        """Take the epoch of this process, 128 random bits unless it is named; it begins with its first record."""
        self.connection = connection
        self.epoch, self.last_seq = epoch or secrets.token_hex(16), 0
        self.begun = False
        self.before: tuple[str, int] = ("", 0)
        self.reload()

    def reload(self) -> None:
        """Read where the file stands: after a rollback memory may be ahead of it.

        begun: whether the file holds this process's epoch. before: the newest epoch and its last number where it does
        not, ("", 0) in a new file.
        """
        query = "SELECT epoch, last_seq FROM epochs ORDER BY number DESC LIMIT 1"
        epoch, last = self.connection.execute(query).fetchone() or ("", 0)
        self.begun = epoch == self.epoch
        self.last_seq = last if self.begun else 0
        self.before = ("", 0) if self.begun else (epoch, last)

    def begin_epoch(self, reason: str) -> int:
        """Begin this process's epoch within the caller's transaction, and return its start counter: 1, 2, 3, ..."""
        starts = self.starts() + 1
        self.connection.execute(
            "INSERT INTO epochs(epoch, last_seq, begun_at, reason, seal) VALUES (?, 0, ?, ?, ?)",
            (self.epoch, column_time(datetime.now(UTC)), reason, checksum(self.epoch, 0)),
        )
        before, last = self.before
        self.set_meta("starts", str(starts))
        self.set_meta(PREDECESSOR + self.epoch, f"{starts} {last} {before}")
        self.begun, self.last_seq = True, 0
        return starts

    def starts(self) -> int:
        """Return the start counter of the newest epoch; a file of an earlier version has numbered them otherwise."""
        counter = self.meta("starts")
        if counter is not None:
            return int(counter)
        return int(self.connection.execute("SELECT coalesce(max(number), 0) FROM epochs").fetchone()[0])

    def drop_empty_epochs(self) -> None:
        """Delete the epochs that hold no record any more, but for the newest, within the caller's transaction."""
        self.connection.execute(
            "DELETE FROM epochs WHERE number < (SELECT max(number) FROM epochs) "
            "AND NOT EXISTS (SELECT 1 FROM records WHERE records.epoch = epochs.epoch)"
        )
        self.connection.execute(
            f"DELETE FROM meta WHERE key LIKE '{PREDECESSOR}%' "
            f"AND substr(key, {len(PREDECESSOR) + 1}) NOT IN (SELECT epoch FROM epochs)"
        )

    def adopt(self, epoch: str, last_seq: int, reason: str) -> None:
        """Know an older epoch of another file, so that what was saved of it can still be sent."""
        self.connection.execute(
            "INSERT OR IGNORE INTO epochs(epoch, last_seq, begun_at, reason, seal) VALUES (?, ?, ?, ?, ?)",
            (epoch, last_seq, column_time(datetime.now(UTC)), reason, checksum(epoch, last_seq)),
        )

    def insert(self, row: Row) -> None:
        """Store the next record of the newest epoch."""
        self.connection.execute(
            "UPDATE epochs SET last_seq = ?, seal = ? WHERE epoch = ?",
            (row.seq, checksum(row.epoch, row.seq), row.epoch),
        )
        self.put(row)
        self.last_seq = row.seq

    def put(self, row: Row) -> None:
        """Store a record under its own identity."""
        marks = ", ".join("?" * len(COLUMNS.split(",")))
        self.connection.execute(f"INSERT INTO records({COLUMNS}) VALUES ({marks})", astuple(row))

    def forget_picture(self, number: int) -> None:
        """Let the row of an id name no picture any more.

        Raises:
            DatabaseDamaged: the row is not what was written.
        """
        query = f"SELECT {COLUMNS} FROM records WHERE id = ?"
        for values in self.connection.execute(query, (number,)).fetchall():
            row = Row(*values)
            if not row.sound():
                raise DatabaseDamaged(f"the record with id {number} is not what was written")
            bare = with_checksum(replace(row, thumbnail=None, thumbnail_bytes=0))
            change = "UPDATE records SET thumbnail = NULL, thumbnail_bytes = 0, seal = ? WHERE id = ?"
            self.connection.execute(change, (bare.checksum, number))

    def look_sound(self) -> None:
        """Check what is small and what all depends on: the epochs, the newest records, what is remembered.

        Raises:
            DatabaseDamaged: something is not what was written.
        """
        fault = unsound(self.connection)
        if fault:
            raise DatabaseDamaged(fault)

    def meta(self, key: str) -> str | None:
        """Return a remembered text."""
        found = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember a text."""
        values = (key, value, checksum(key, value))
        self.connection.execute("INSERT OR REPLACE INTO meta(key, value, seal) VALUES (?, ?, ?)", values)


def unsound(connection: sqlite3.Connection) -> str:
    """Return what is wrong with epochs, remembered texts or the newest records, "" where all is as written."""
    for key, value, was in connection.execute("SELECT key, value, seal FROM meta").fetchall():
        if was != checksum(key, value):
            return f"what is remembered as {key!r} is not what was written"
    query = (
        "SELECT epoch, last_seq, seal, (SELECT max(seq) FROM records WHERE records.epoch = epochs.epoch) FROM epochs"
    )
    for epoch, last, was, top in connection.execute(query).fetchall():
        if was != checksum(epoch, last):
            return f"epoch {str(epoch)[:8]} is not what was written"
        if top is not None and top > last:
            return f"epoch {epoch[:8]} ends with {last}, but there is a record {top}"
    newest = connection.execute("SELECT epoch, seq FROM records ORDER BY id DESC LIMIT 1").fetchone()
    last_of = "SELECT last_seq FROM epochs WHERE epoch = ?"
    if newest is not None and connection.execute(last_of, newest[:1]).fetchone() != newest[1:]:
        return "the newest record is not the last of its epoch"
    # What a start believes of the process before it hangs on these: a damaged file is replaced before it is asked.
    for number, *values in connection.execute(f"SELECT id, {COLUMNS} FROM records ORDER BY id DESC LIMIT {NEWEST}"):
        if not Row(*values).sound():
            return f"the record with id {number} is not what was written"
    return ""


def add_checksums(connection: sqlite3.Connection) -> None:
    """Give a file of an earlier version its checksums; what it holds then is taken as it is. One transaction."""
    if any(name == "seal" for _, name, *_ in connection.execute("PRAGMA table_info(records)").fetchall()):
        return
    connection.execute("BEGIN IMMEDIATE")
    for table in ("meta", "epochs", "records"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN seal TEXT NOT NULL DEFAULT ''")
    for key, value in connection.execute("SELECT key, value FROM meta").fetchall():
        connection.execute("UPDATE meta SET seal = ? WHERE key = ?", (checksum(key, value), key))
    for epoch, last in connection.execute("SELECT epoch, last_seq FROM epochs").fetchall():
        connection.execute("UPDATE epochs SET seal = ? WHERE epoch = ?", (checksum(epoch, last), epoch))
    for (number,) in connection.execute("SELECT id FROM records").fetchall():
        row = Row(*connection.execute(f"SELECT {COLUMNS} FROM records WHERE id = ?", (number,)).fetchone())
        connection.execute("UPDATE records SET seal = ? WHERE id = ?", (with_checksum(row).checksum, number))
    connection.execute("COMMIT")
