"""Errors of PostgreSQL as the store's callers know them.

Both databases' modules have the same classes of errors (PEP 249); the callers know SQLite's.
"""

from __future__ import annotations

import sqlite3
import struct

import psycopg

from station.store.batches import ServerFailed

OF_A_VALUE = (psycopg.DataError, psycopg.IntegrityError, ValueError, TypeError, OverflowError, struct.error)
"""What may be one message's fault. A UnicodeError is a ValueError."""
_FULL = "53100"


def may_be_a_messages(error: BaseException) -> bool:
    """Return whether an error says something of the values that were sent, nothing of server, network or rights."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate[:2] in ("21", "22", "23")
    return isinstance(error, (*OF_A_VALUE, psycopg.ProgrammingError)) and not isinstance(error, psycopg.InterfaceError)


def translated(error: psycopg.Error) -> sqlite3.Error:
    """Return the error that says the same in the words of SQLite's module."""
    text = " ".join(str(error).split()) or type(error).__name__
    if may_be_a_messages(error):
        kind = sqlite3.IntegrityError if isinstance(error, psycopg.IntegrityError) else sqlite3.DataError
        return kind(text)
    found = ServerFailed(f"the server's disk is full: {text}" if error.sqlstate == _FULL else text)
    # A right or a table that is missing is for a person to put right; all else may pass by itself.
    persons = (error.sqlstate or "")[:2] in ("28", "3D", "3F", "42")
    found.sqlite_errorcode = sqlite3.SQLITE_ERROR if persons else sqlite3.SQLITE_BUSY
    return found
