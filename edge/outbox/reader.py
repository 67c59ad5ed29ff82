"""What another process sees of a sequence: epochs, rows, changes. Every read ends in one fetch, nothing is written.

An unfinished SELECT keeps the writer's journal from being checkpointed; it grew to 69 MB when tried.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contract import identity
from edge.errors import StorageError
from edge.outbox.database import FAILURES, open_reader, translate
from edge.outbox.row import COLUMNS, Row
from edge.outbox.sequence import PREDECESSOR
from edge.outbox.thumbnails import FOLDER


@dataclass(frozen=True, slots=True)
class HeldEpoch:
    """One epoch: its lowest held number (last + 1 when nothing is) and its last.

    starts: its start counter; before, before_last: the epoch before and that one's last number. All as good as nothing
    where the file does not know them: an epoch of an earlier version, or one that was saved from a damaged file.
    """

    epoch: str
    first_held: int
    last: int
    starts: int = 0
    before: str = ""
    before_last: int = 0


class Reader:
    """A file that another process writes, that may not exist yet, and that its owner may replace."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._inode = -1
        self._version = -1
        self.replaced = 0

    def changed(self) -> bool:
        """Return whether something was committed since the last call; cheap enough for many times a second.

        Raises:
            StorageError: the file is there and cannot be read.
        """
        try:
            inode = self._path.stat().st_ino
        except OSError:
            self.close()
            return False
        if inode != self._inode or self._connection is None:
            self.close()
            self._connection, self._inode = open_reader(self._path), inode
            self.replaced += 1
        version = self._fetch("PRAGMA data_version")[0][0]
        changed, self._version = version != self._version, version
        return bool(changed)

    def epochs(self) -> list[HeldEpoch]:
        """Return the epochs in the order in which they began."""
        rows = self._fetch(
            "SELECT epoch, (SELECT min(seq) FROM records WHERE records.epoch = epochs.epoch), last_seq, "
            f"(SELECT value FROM meta WHERE key = '{PREDECESSOR}' || epoch) FROM epochs ORDER BY number"
        )
        return [
            HeldEpoch(epoch, last + 1 if first is None else first, last, *_read_predecessor(predecessor))
            for epoch, first, last, predecessor in rows
        ]

    def rows(self, epoch: str, first: int, last: int) -> list[Row]:
        """Return the rows first..last that are held, without those that are not what was written."""
        query = f"SELECT {COLUMNS} FROM records WHERE epoch = ? AND seq BETWEEN ? AND ? ORDER BY seq"
        return self._sound(self._fetch(query, epoch, first, last))

    def row(self, epoch: str, seq: int) -> Row | None:
        """Return one row, None where it is not held."""
        found = self.rows(epoch, seq, seq)
        return found[0] if found else None

    def pictured(self, epoch: str, after: int, limit: int) -> list[int]:
        """Return the next numbers after `after` whose rows have a picture."""
        query = "SELECT seq FROM records WHERE epoch = ? AND seq > ? AND thumbnail IS NOT NULL ORDER BY seq LIMIT ?"
        return [seq for (seq,) in self._fetch(query, epoch, after, limit)]

    def newest_reading(self) -> Row | None:
        """Return the newest reading of all."""
        query = f"SELECT {COLUMNS} FROM records WHERE kind = 'reading' ORDER BY id DESC LIMIT 3"
        found = self._sound(self._fetch(query))
        return found[0] if found else None

    def last_number(self) -> int:
        """Return the id of the newest row, 0 where there is none; ids only rise within one file."""
        found = self._fetch("SELECT coalesce(max(id), 0) FROM records")
        return int(found[0][0]) if found else 0

    def readings_after(self, number: int, most: int) -> tuple[int, list[Row]]:
        """Return the next readings after the row with an id, oldest first, and the id of the last one looked at."""
        query = f"SELECT id, {COLUMNS} FROM records WHERE kind = 'reading' AND id > ? ORDER BY id LIMIT ?"
        found = self._fetch(query, number, most)
        return (found[-1][0] if found else number), self._sound([values[1:] for values in found])

    def between(self, since: str, until: str) -> list[tuple[str, int, int]]:
        """Return the ranges (epoch, first, last) of the records of a time, by their own labels, in order.

        since, until: as the column `recorded_at` has them; "" is no bound.
        """
        query = "SELECT epoch, seq FROM records WHERE recorded_at >= ? AND (? = '' OR recorded_at <= ?) ORDER BY id"
        found: list[tuple[str, int, int]] = []
        for epoch, seq in self._fetch(query, since, until, until):
            if found and found[-1][0] == epoch and found[-1][2] + 1 == seq:
                found[-1] = (epoch, found[-1][1], seq)
            else:
                found.append((epoch, seq, seq))
        return found

    def count(self) -> int:
        """Return how many records are held."""
        found = self._fetch("SELECT count(*) FROM records")
        return int(found[0][0]) if found else 0

    def picture(self, sha256: str) -> bytes | None:
        """Return a picture's bytes, None where it has gone or is not what was written."""
        try:
            content = (self._path.parent / FOLDER / f"{sha256}.jpg").read_bytes()
        except OSError:
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._inode, self._version = None, -1, -1

    def _sound(self, found: list[Any]) -> list[Row]:
        return [row for values in found if (row := Row(*values)).sound()]

    def _fetch(self, query: str, *values: object) -> list[Any]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(query, values).fetchall()
        except FAILURES as error:
            self.close()
            failure: StorageError = translate(error, self._path)
            raise failure from error


def _read_predecessor(text: object) -> tuple[int, str, int]:
    """Return start counter, epoch before and its last number; nothing where the text is not one that was written."""
    parts = text.split(" ") if isinstance(text, str) else []
    if len(parts) != 3 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return 0, "", 0
    before = parts[2] if identity.is_epoch(parts[2]) else ""
    return int(parts[0]), before, int(parts[1]) if before else 0
