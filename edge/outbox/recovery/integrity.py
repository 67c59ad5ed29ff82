"""A damaged database: noticed, and what can still be read of it saved."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contract import identity, jsontext
from edge.contract.record import Event
from edge.errors import DatabaseDamaged, MessageError, StorageError
from edge.outbox.database import FAILURES, open_reader, translate
from edge.outbox.recovery.page_salvage import PageContents, read_pages
from edge.outbox.row import COLUMNS, Row, checksum, with_checksum
from edge.outbox.sequence import unsound
from edge.outbox.watermarks import Released


class Check:
    """A look at the whole file on a second, read-only connection in a thread of its own: no capture waits for it."""

    def __init__(self, path: Path) -> None:
        """Begin."""
        self._path = path
        self._finding = ""
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="outbox-check", daemon=True)
        self._thread.start()

    def finding(self) -> str:
        """Return what is damaged, "" while nothing is known to be."""
        return "" if self._thread.is_alive() else self._finding

    def finished(self) -> bool:
        """Return whether the check has ended."""
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Break the check off."""
        connection = self._connection
        if connection is not None and self._thread.is_alive():
            with suppress(sqlite3.ProgrammingError):  # it has ended and closed its connection just now
                connection.interrupt()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            self._connection = open_reader(self._path)
            self._finding = look_through(self._connection)
        except FAILURES as error:
            failure = translate(error, self._path)
            self._finding = str(failure) if isinstance(failure, DatabaseDamaged) else ""
        except StorageError:
            self._finding = ""
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def look_through(connection: sqlite3.Connection) -> str:
    """Return what is damaged, "" where nothing is: trees and indexes by SQLite's check, rows by their checksums."""
    lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check(5)").fetchall()]
    if lines != ["ok"]:
        return "; ".join(lines)[:300]
    after = 0
    while True:
        query = f"SELECT id, {COLUMNS} FROM records WHERE id > ? ORDER BY id LIMIT 100"
        found = connection.execute(query, (after,)).fetchall()
        if not found:
            return _compare(connection)
        after = found[-1][0]
        for number, *values in found:
            if not Row(*values).sound():
                return f"the record with id {number} is not what was written"


def _compare(connection: sqlite3.Connection) -> str:
    """Return what `unsound` finds at one moment: a record appended between two of its reads is no damage."""
    connection.execute("BEGIN")
    try:
        return unsound(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@dataclass(frozen=True, slots=True)
class Saved:
    """What could be read: rows whose digest holds, the epochs with their last numbers, the newest start counter."""

    rows: tuple[Row, ...]
    epochs: tuple[tuple[str, int], ...]
    starts: int = 0


def salvage(path: Path, released: Mapping[str, Released]) -> Saved:
    """Return what is still readable: by SQLite, and, where it refuses or its journal is broken, from the bare pages.

    What was released may have been dropped on purpose; of that, only what SQLite shows is taken.
    """
    saved = _salvage_tables(path)
    rows = {(row.epoch, row.seq): row for row in saved.rows}
    last = dict(saved.epochs)
    pages = read_pages(path)
    gone = _deleted(last, {row.epoch for row in pages.rows.values()}, pages)
    for epoch, seq in pages.last.items():
        if epoch not in gone:
            last[epoch] = max(seq, last.get(epoch, 0))
    for key, row in pages.rows.items():
        dropped = row.epoch in gone or (row.epoch in released and row.seq in released[row.epoch].records)
        if key not in rows and not dropped:
            rows[key] = row
            last[row.epoch] = max(row.seq, last.get(row.epoch, 0))
    starts = max(saved.starts, len(last), max(pages.number.values(), default=0))
    for row in list(rows.values()):
        for epoch, seq, count in _beginning_of(row):
            starts = max(starts, count)
            if epoch in last:  # one that is not there has gone with all its records, as it should
                last[epoch] = max(seq, last[epoch])
    epochs = tuple(sorted(last.items(), key=lambda one: pages.number.get(one[0], 0)))
    order = {epoch: number for number, (epoch, _) in enumerate(epochs)}
    inorder = sorted(rows.values(), key=lambda row: (order[row.epoch], row.seq))
    return Saved(tuple(inorder), epochs, starts)


def _deleted(shown: Mapping[str, int], pictured: set[str], pages: PageContents) -> set[str]:
    """Return the epochs of old page images that were deleted since: they went from the front, with all their records.

    shown: those that SQLite still shows; where it shows none, those of which there are records.
    """
    kept = [pages.number[epoch] for epoch in (shown or pictured) if epoch in pages.number]
    oldest = min(kept, default=0)
    return {epoch for epoch, number in pages.number.items() if number < oldest and epoch not in shown}


def _beginning_of(row: Row) -> list[tuple[str, int, int]]:
    """Return what the beginning of an epoch says: the one before, its last number, the start counter."""
    if b'"code":"epoch_begun"' not in row.body:
        return []
    with suppress(MessageError):
        detail = jsontext.decode(row.body, Event).detail
        before, last, starts = detail.get("before"), detail.get("last"), detail.get("starts", 0)
        if isinstance(before, str) and isinstance(last, int) and isinstance(starts, int):
            return [(before, last, starts)]
    return []


def _salvage_tables(path: Path) -> Saved:
    rows: dict[tuple[str, int], Row] = {}
    last: dict[str, int] = {}
    unsound_epochs: dict[str, int] = {}
    try:
        connection = open_reader(path)
    except StorageError:
        return Saved((), ())
    try:
        starts = _starts(connection)
        columns = COLUMNS if _has_checksums(connection) else COLUMNS.replace("seal", "''")
        for epoch, seq in _read(connection, "SELECT epoch, last_seq FROM epochs ORDER BY number"):
            if isinstance(epoch, str) and isinstance(seq, int) and identity.is_epoch(epoch) and seq >= 0:
                written = _read(connection, f"SELECT seal FROM epochs WHERE epoch = '{epoch}'")
                broken = columns == COLUMNS and written != [(checksum(epoch, seq),)]
                (unsound_epochs if broken else last)[epoch] = seq
        found = _read(connection, "SELECT max(id) FROM records")
        newest = found[0][0] if found and found[0][0] is not None else 0
        for number in range(max(1, newest - 200_000), newest + 1):
            for values in _read(connection, f"SELECT {columns} FROM records WHERE id = {number}"):
                row = Row(*values)
                if row.sound() or (columns != COLUMNS and with_checksum(row).sound()):
                    row = with_checksum(row)
                    rows[row.epoch, row.seq] = row  # a broken tree can show one row twice
                    last[row.epoch] = max(row.seq, last.get(row.epoch, 0))
    finally:
        connection.close()
    for epoch, seq in unsound_epochs.items():
        # A little beyond what is there: better one number too many named than one too few.
        known = max((row.seq for row in rows.values() if row.epoch == epoch), default=0)
        last[epoch] = seq if known <= seq <= known + 64 else known
    return Saved(tuple(rows.values()), tuple(last.items()), starts)


def _starts(connection: sqlite3.Connection) -> int:
    """Return the start counter that is remembered, 0 where it is not, or not what was written."""
    for value, was in _read(connection, "SELECT value, seal FROM meta WHERE key = 'starts'"):
        if isinstance(value, str) and value.isdecimal() and was == checksum("starts", value):
            return int(value)
    return 0


def _has_checksums(connection: sqlite3.Connection) -> bool:
    """Return whether the file is of a version whose rows have checksums."""
    return any(column[1] == "seal" for column in _read(connection, "PRAGMA table_info(records)"))


def _read(connection: sqlite3.Connection, query: str) -> list[Any]:
    try:
        return connection.execute(query).fetchall()
    except FAILURES:
        return []
