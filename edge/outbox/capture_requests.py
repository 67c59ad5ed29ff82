"""Requests for a capture now, which publish leaves in `delivery.db` and capture polls."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from pathlib import Path

from edge.config.state_folder import delivery_path, outbox_path
from edge.errors import StorageError
from edge.outbox.database import FAILURES, open_reader

TAKEN = "CREATE TABLE IF NOT EXISTS taken(request TEXT PRIMARY KEY, taken_at TEXT NOT NULL) WITHOUT ROWID;"
"""Of `outbox.db`: the requests that were acted on, so that a crash does not fire one twice."""
_MOST_TAKEN = 1000


def note_taken(connection: sqlite3.Connection, request: str, at: datetime) -> None:
    """Note a request in `outbox.db` as taken, within the caller's transaction; the oldest ones are forgotten."""
    connection.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (request, at.isoformat()))
    oldest = f"SELECT request FROM taken ORDER BY taken_at DESC LIMIT -1 OFFSET {_MOST_TAKEN}"
    connection.execute(f"DELETE FROM taken WHERE request IN ({oldest})")


class Requests:
    """Capture's view. A request is offered once; one that `outbox.db` notes as taken is not offered again."""

    def __init__(self, state_dir: Path) -> None:
        """Nothing is opened yet; publish may never have run."""
        self._path, self._outbox = delivery_path(state_dir), outbox_path(state_dir)
        self._connection: sqlite3.Connection | None = None
        self._inode = -1
        self._version = -1
        self._open: list[str] = []
        self._offered: set[str] | None = None

    def waiting(self) -> bool:
        """Return whether there is a request to take; cheap enough for several times a second."""
        if self._open:
            return True
        try:
            if self._changed():
                self._read()
        except (*FAILURES, StorageError, OSError):
            self._forget()
        return bool(self._open)

    def pop_oldest(self) -> str | None:
        """Return the oldest request's id, or None. The caller notes it with `Outbox.mark_taken` before it acts."""
        return self._open.pop(0) if self.waiting() else None

    def _changed(self) -> bool:
        inode = self._path.stat().st_ino if self._path.exists() else -1
        if inode != self._inode:
            self._forget()
            if inode == -1:
                return False
            self._connection, self._inode = open_reader(self._path), inode
        if self._connection is None:
            return False
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        changed = bool(version != self._version)
        self._version = version
        return changed

    def _read(self) -> None:
        assert self._connection is not None
        if self._offered is None:
            self._offered = self._taken_before()
        rows = self._connection.execute("SELECT id FROM requests ORDER BY number").fetchall()
        self._open = [request for (request,) in rows if request not in self._offered]
        self._offered.update(self._open)

    def _taken_before(self) -> set[str]:
        reader = open_reader(self._outbox)
        try:
            return {request for (request,) in reader.execute("SELECT request FROM taken").fetchall()}
        finally:
            reader.close()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._inode, self._version = None, -1, -1
