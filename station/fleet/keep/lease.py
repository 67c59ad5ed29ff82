"""The lease by which one fleet process works at a time; another waits until it ends."""

from __future__ import annotations

import os
import secrets
import socket
import sqlite3
from dataclasses import dataclass

from edge.errors import StorageError
from station.transaction import transaction


class LeaseLost(StorageError):
    """Another process holds the lease: this one slept past its end."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Of this process. holder: a name that no other process has."""

    holder: str
    seconds: float

    @staticmethod
    def new(seconds: float) -> Lease:
        """Return a lease that nobody holds yet."""
        return Lease(secrets.token_hex(16), seconds)

    def take(self, connection: sqlite3.Connection, now_s: float) -> str:
        """Take or renew it and return "", or who else holds it."""
        with transaction(connection):
            row = connection.execute("SELECT holder, what, until_s FROM lease").fetchone()
            if row is not None and row["holder"] != self.holder and now_s < row["until_s"] <= now_s + 10 * self.seconds:
                # One that lasts far longer was taken while the clock was wrong.
                return str(row["what"])
            what = f"{socket.gethostname()}, process {os.getpid()}"
            connection.execute(
                "INSERT OR REPLACE INTO lease VALUES (1, ?, ?, ?)", (self.holder, what, now_s + self.seconds)
            )
        return ""

    @staticmethod
    def held_by(connection: sqlite3.Connection, now_s: float) -> str:
        """Return which process works, "" where none does."""
        row = connection.execute("SELECT what, until_s FROM lease").fetchone()
        return str(row["what"]) if row is not None and now_s < row["until_s"] else ""

    def check(self, connection: sqlite3.Connection) -> None:
        """Refuse to go on where another process has taken over; called inside the transaction that writes.

        Raises:
            LeaseLost: it has.
        """
        row = connection.execute("SELECT holder, what FROM lease").fetchone()
        if row is None or row["holder"] != self.holder:
            other = "nobody" if row is None else row["what"]
            raise LeaseLost(f"the lease is held by {other}; this process waits for it again")

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Let the next one begin at once."""
        connection.execute("DELETE FROM lease WHERE holder = ?", (self.holder,))
