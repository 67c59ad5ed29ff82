"""SQLite as this device uses it: WAL, one writer a file, readers that never write.

`synchronous=FULL`: with NORMAL a power cut rolls back commits that had returned (819 of 1000 simulated cuts lost one).
`auto_vacuum=INCREMENTAL`: deleted pages can be given back to the disk in small steps.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.errors import DatabaseDamaged, DiskFull, StorageError
from edge.outbox.thumbnails import sync_folder

BUSY_MS = 2000
MODE = 0o660
"""SQLite gives the journal's two files the database's mode, and whoever opens first makes them. Were it 0640, a reader
of the other user would make an index that the writer cannot write, and the writer would not start again."""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT)
"""A broken constraint is damage too: the tables no longer agree about which number is next."""

_OTHER_SCHEMA = re.compile(r"no such (column|table|index)|.* has no column named")
"""The statements are ours and right, so that a name of theirs that is not there was changed in the file."""

FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What a call may raise: Python's module cannot even report an error whose text quotes broken bytes of the file."""


def open_writer(path: Path, schema: str) -> sqlite3.Connection:
    """Return the writer's connection in autocommit mode, its tables made where they are missing.

    Raises:
        DatabaseDamaged: the file is no database.
        StorageError: it cannot be opened or made.
    """
    connection: sqlite3.Connection | None = None
    _make_shared(path)
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 200")
        connection.execute("PRAGMA journal_size_limit = 1000000")
        connection.executescript(schema)
    except FAILURES as error:
        if connection is not None:
            connection.close()
        raise translate(error, path) from error
    return connection


def _make_shared(path: Path) -> None:
    """Make the file, where it is missing, with the group's right to write, whatever the umask.

    A file that is there is only looked at by name: closing a descriptor of it would drop the locks that SQLite holds.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))
        sync_folder(path.parent)  # SQLite syncs the name of a file only where it makes the file itself
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{path}: no space left on the disk; free some, or lower outbox.max_mb") from error
        raise StorageError(f"{path}: {error.strerror}; correct the folder's owner or rights") from error
    state = path.stat()
    if stat.S_IMODE(state.st_mode) != MODE and state.st_uid == os.geteuid():
        path.chmod(MODE)


def close_writer(connection: sqlite3.Connection, path: Path) -> None:
    """Close, and leave an empty journal where SQLite took it away with the last connection.

    A reader of another user cannot make one in a folder where only the writer may, and without one SQLite does not let
    it read.
    """
    connection.close()
    mode = path.parent.stat().st_mode
    if not mode & stat.S_ISGID or mode & stat.S_IWGRP:
        return  # not shared with other users, or they can make their own
    for suffix in ("-wal", "-shm"):
        with suppress(OSError):  # there is one, or no room for one: the reader tries again when the writer is back
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(path.with_name(path.name + suffix), flags, MODE))


def open_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that cannot write.

    Raises:
        StorageError: the file is not there or cannot be read.
    """
    try:
        return sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_MS / 1000, check_same_thread=False
        )
    except FAILURES as error:
        raise translate(error, path) from error


@contextmanager
def writing(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Run the body in one transaction that takes the write lock at once; an error leaves nothing behind.

    Raises:
        DiskFull, DatabaseDamaged, StorageError: what SQLite raised, by who must act.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except FAILURES as error:
        raise translate(error, path) from error


@contextmanager
def translating(path: Path) -> Iterator[None]:
    """Run the body outside a transaction.

    Raises:
        DiskFull, DatabaseDamaged, StorageError: what SQLite raised, by who must act.
    """
    try:
        yield
    except FAILURES as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error | UnicodeDecodeError, path: Path) -> StorageError:
    """Return the error of the tree in `edge.errors` that says what SQLite's means here."""
    if isinstance(error, UnicodeDecodeError) or "Could not decode to UTF-8" in str(error):
        return DatabaseDamaged(f"{path}: a text is no UTF-8")
    code = getattr(error, "sqlite_errorcode", 0) or 0
    primary = code & 0xFF
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _no_space(path)):
        return DiskFull(f"{path}: no space left on the disk; free some, or lower outbox.max_mb")
    if primary in _DAMAGED or (primary == sqlite3.SQLITE_ERROR and _OTHER_SCHEMA.match(str(error))):
        return DatabaseDamaged(f"{path}: {error}")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StorageError(f"{path}: cannot be opened; look at the folder's owner and rights")
    if primary == sqlite3.SQLITE_READONLY:
        return StorageError(f"{path}: may not be written by this user; correct its owner or rights")
    return StorageError(f"{path}: {error}")


def _no_space(path: Path) -> bool:
    return free_bytes(path.parent) < 1_000_000


def free_bytes(folder: Path) -> int:
    """Return the bytes that an ordinary user may still write in the folder's file system."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
