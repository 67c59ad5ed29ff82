"""The table `losses`: ranges that a device can no longer send, less what came all the same."""

from __future__ import annotations

import sqlite3

Range = tuple[int, int]
CAME = (
    "SELECT seq FROM records WHERE device = :device AND epoch = :epoch AND seq BETWEEN :first AND :last "
    "UNION SELECT seq FROM quarantine "
    "WHERE device = :device AND epoch = :epoch AND seq BETWEEN :first AND :last AND stream IN ('reading', 'record')"
)
"""The numbers of a range of which a record is stored or in quarantine."""


class Losses:
    """Writes the table within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use the caller's connection."""
        self._connection = connection

    def note(self, device: str, epoch: str, span: Range, what: str, reason: str, recorded_at: float) -> None:
        """Note a range that is gone, once however often it is said, but for the records of it that came."""
        for first, last in self._missing(device, epoch, span) if what == "record" else [span]:
            self._insert((device, epoch, first, last, what, reason, recorded_at))

    def withdraw(self, device: str, epoch: str, seq: int) -> None:
        """Take a record out of every range that names it: another copy of the card held it, and it is stored now."""
        found = self._connection.execute(
            "SELECT device, epoch, first_seq, last_seq, what, reason, recorded_at FROM losses "
            "WHERE device = ? AND epoch = ? AND first_seq <= ? AND last_seq >= ? AND what = 'record'",
            (device, epoch, seq, seq),
        ).fetchall()
        for row in found:
            self._connection.execute(
                "DELETE FROM losses WHERE device = ? AND epoch = ? AND first_seq = ? AND last_seq = ? AND what = ? "
                "AND reason = ?",
                row[:6],
            )
            for first, last in ((row[2], seq - 1), (seq + 1, row[3])):
                if first <= last:
                    self._insert((device, epoch, first, last, *row[4:]))

    def _missing(self, device: str, epoch: str, span: Range) -> list[Range]:
        """Return the parts of a range of which no record came; a range of 2**53 costs no more than its records."""
        rows = self._connection.execute(
            f"{CAME} ORDER BY seq", {"device": device, "epoch": epoch, "first": span[0], "last": span[1]}
        )
        found, first = [], span[0]
        for (seq,) in rows.fetchall():
            if first < seq:
                found.append((first, seq - 1))
            first = seq + 1
        return [*found, (first, span[1])] if first <= span[1] else found

    def _insert(self, row: tuple[object, ...]) -> None:
        self._connection.execute("INSERT OR IGNORE INTO losses VALUES (?, ?, ?, ?, ?, ?, ?)", row)
