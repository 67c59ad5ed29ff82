"""Which readings people have reviewed out, for whoever reads the log: their estimates count as not accepted.

The records, and the rows that are derived from them, stay what the devices sent.
"""

from __future__ import annotations

import sqlite3
from typing import Final

REASON: Final = "reviewed_out"
"""Beside the device's own reasons why an estimate is not accepted."""
REVIEWS: Final = """
CREATE TABLE IF NOT EXISTS reviews (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL, at_s REAL NOT NULL,
    who TEXT NOT NULL, right_animal INTEGER NOT NULL, right_place INTEGER NOT NULL, usable INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (device, epoch, seq, number)
) WITHOUT ROWID"""
"""Every review, the last one of a reading holds; nothing in it is changed or deleted. Made by the first review."""
REVIEWED_OUT: Final = """
CREATE TABLE IF NOT EXISTS reviewed_out (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (device, epoch, seq)
) WITHOUT ROWID"""
"""The readings whose last review says that something is not right. Made with `reviews`."""
_THERE: Final = "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = 'reviewed_out'"
_OUT: Final = (
    "EXISTS (SELECT 1 FROM main.reviewed_out w WHERE w.device = v.device AND w.epoch = v.epoch AND w.seq = v.seq)"
)


def has_reviews(connection: sqlite3.Connection) -> bool:
    """Return whether the log has tables of reviews: nobody has reviewed anything before."""
    return connection.execute(_THERE).fetchone() is not None


def load_reviewed_out(connection: sqlite3.Connection, device: str) -> frozenset[tuple[str, int]]:
    """Return the (epoch, seq) of a device's readings that were reviewed out."""
    if not has_reviews(connection):
        return frozenset()
    rows = connection.execute("SELECT epoch, seq FROM main.reviewed_out WHERE device = ?", (device,)).fetchall()
    return frozenset((str(row[0]), int(row[1])) for row in rows)


def as_reviewed(column: str) -> str:
    """Return the SQL of a column of `animals AS v` as its reader sees it."""
    if column == "accepted":
        return f"CASE WHEN {_OUT} THEN 0 ELSE accepted END AS accepted"
    if column == "reject_reasons":
        return f"CASE WHEN {_OUT} THEN trim(reject_reasons || ' {REASON}') ELSE reject_reasons END AS reject_reasons"
    return column


def with_reason(reasons: str) -> str:
    """Return the reasons of an estimate with the one that a person gave."""
    return f"{reasons} {REASON}".strip()
