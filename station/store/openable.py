"""Why the station's folder or database cannot be opened: for a person to put right, or passing by itself."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from edge.errors import OperatorError, StorageError

_A_PERSONS = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL)
"""A path or a right is wrong. Any other error of a disk may be gone in a minute: full, read-only, not mounted yet."""
_RIGHTS = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)
_OF_THE_STATEMENT = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISUSE)


def why_not_open(data: Path, error: OSError | sqlite3.OperationalError) -> OperatorError | StorageError:
    """Return the error that says who must act: OperatorError for a person, StorageError for what may pass."""
    if _is_a_persons(data, error):
        return OperatorError(f"{data}: expected a folder and a station.db that can be written, got {error}")
    return StorageError(f"{data}: the database cannot be opened for writing now: {error}")


def _is_a_persons(data: Path, error: OSError | sqlite3.OperationalError) -> bool:
    if isinstance(error, OSError):
        return error.errno in _A_PERSONS
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _RIGHTS:
        return not _is_mounted_read_only(data)
    return code in _OF_THE_STATEMENT


def _is_mounted_read_only(data: Path) -> bool:
    """Return whether the file system itself takes no writes, as after an error of its disk."""
    try:
        return bool(os.statvfs(data).f_flag & os.ST_RDONLY)
    except OSError:
        return True
