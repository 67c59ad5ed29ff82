"""A damaged database: noticed, set aside under the owner's lock, and what can still be read of it saved."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.contract import identity
from edge.errors import DatabaseDamaged, StorageError
from edge.outbox.database import FAILURES, open_reader, translate
from edge.outbox.sequence import COLUMNS, Row
from edge.outbox.thumbnails import sync_folder


class Check:
    """A quick check on a second, read-only connection in a thread of its own, so that no capture waits for it."""

    def __init__(self, path: Path) -> None:
        """Begin."""
        self._path = path
        self._finding = ""
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._run, name="quick-check", daemon=True)
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
            lines = [line for (line,) in self._connection.execute("PRAGMA quick_check(5)").fetchall()]
            self._finding = "" if lines == ["ok"] else "; ".join(lines)[:300]
        except FAILURES as error:
            failure = translate(error, self._path)
            self._finding = str(failure) if isinstance(failure, DatabaseDamaged) else ""
        except StorageError:
            self._finding = ""
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def set_aside(path: Path) -> Path:
    """Rename the database with its journal, never delete it, and return the new name."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = path.with_name(f"{path.name}.damaged-{stamp}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for suffix in ("-wal", "-shm", ""):
        old = path.with_name(path.name + suffix)
        if old.exists():
            os.replace(old, aside.with_name(aside.name + suffix))
    sync_folder(path.parent)
    return aside


@dataclass(frozen=True, slots=True)
class Saved:
    """What could be read: rows whose digest holds, and the epochs with their last numbers."""

    rows: tuple[Row, ...]
    epochs: tuple[tuple[str, int], ...]


def salvage(path: Path) -> Saved:
    """Return what is still readable of a database that was set aside."""
    rows: dict[tuple[str, int], Row] = {}
    last: dict[str, int] = {}
    try:
        connection = open_reader(path)
    except StorageError:
        return Saved((), ())
    try:
        last = {
            epoch: seq
            for epoch, seq in _read(connection, "SELECT epoch, last_seq FROM epochs ORDER BY number")
            if isinstance(epoch, str) and isinstance(seq, int) and identity.is_epoch(epoch)
        }
        found = _read(connection, "SELECT max(id) FROM records")
        newest = found[0][0] if found and found[0][0] is not None else 0
        for number in range(max(1, newest - 200_000), newest + 1):
            for values in _read(connection, f"SELECT {COLUMNS} FROM records WHERE id = {number}"):
                row = Row(*values)
                if _is_sound(row):
                    rows[row.epoch, row.seq] = row  # a broken tree can show one row twice
                    last[row.epoch] = max(row.seq, last.get(row.epoch, 0))
    finally:
        connection.close()
    return Saved(tuple(rows.values()), tuple(last.items()))


def _is_sound(row: Row) -> bool:
    """Return whether the columns have their types and the body its digest."""
    texts = (row.epoch, row.kind, row.schema, row.recorded_at, row.digest)
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(row.seq, int)
        and isinstance(row.body, bytes)
        and isinstance(row.thumbnail_bytes, int)
        and identity.is_epoch(row.epoch)
        and row.seq >= 1
        and identity.digest(row.body) == row.digest
    )


def _read(connection: sqlite3.Connection, query: str) -> list[Any]:
    try:
        return connection.execute(query).fetchall()
    except FAILURES:
        return []
