"""What a database does at the ends of a batch, beside running statements."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Protocol

Key = tuple[str, str, int]
"""(device, epoch, seq)"""


class BatchAtFault(sqlite3.DatabaseError):
    """One of a batch's messages is at fault, and which is not known: they are to be taken one by one."""


class ServerFailed(sqlite3.OperationalError):
    """The database server failed, or cannot be reached: nothing is wrong with any file of the station's."""


class Batches(Protocol):
    """Of one connection.

    one_by_one: each message is to be written, and its errors found, before the next one. may_delete: whether this
    connection's role may strike records.
    """

    one_by_one: bool
    may_delete: bool

    def expect(self, keys: Iterable[Key]) -> None:
        """Prepare for a batch of messages with these keys, at the beginning of its transaction."""
        ...

    def hold_log(self) -> bool:
        """Return whether this connection is the one that logs now, also when it is made anew."""
        ...

    def revive(self) -> None:
        """Connect again where the connection was lost; between batches only."""
        ...

    def is_new(self) -> bool:
        """Return whether the connection was made anew since the last call: what is in memory is to be read again."""
        ...


class NoBatches:
    """SQLite's, where a statement is as quick alone as with others."""

    def __init__(self) -> None:
        """Whoever has the file may do everything."""
        self.one_by_one, self.may_delete = False, True

    def expect(self, keys: Iterable[Key]) -> None:
        """Do nothing."""

    def hold_log(self) -> bool:
        """Return True: the folder's lock is held already."""
        return True

    def revive(self) -> None:
        """Do nothing."""

    def is_new(self) -> bool:
        """Return False: a file stays open."""
        return False
