"""What is dropped, and in which order: released thumbnails, released records, unreleased thumbnails, at last readings.

Records go from the front of an epoch only, so that `first_held` says all there is to say about what is gone.
Readings that nobody else holds go only for the outbox's own ceiling, never because something else fills the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

from edge.config import tree
from edge.contract import jsontext
from edge.contract.ranges import RangeSet
from edge.contract.record import LOST_RANGES_SCHEMA, LOST_SCHEMA, Lost, LostRanges, ranges_of
from edge.errors import DatabaseDamaged
from edge.outbox.database import free_bytes, writing
from edge.outbox.row import COLUMNS, Row
from edge.outbox.sequence import Sequence
from edge.outbox.watermarks import Released
from edge.timing.clock import Clock

BATCH = 200
MAX_PICTURE = 1 << 20
"""No picture is larger; a flipped bit in a size must not clear the outbox."""
LabelLosses = Callable[[str, Mapping[str, RangeSet], str], list[Lost | LostRanges]]
InsertLost = Callable[[Lost | LostRanges], tuple[str, int]]
Held = tuple[int, str, int, str | None, int]
"""id, epoch, seq, thumbnail, bytes of thumbnail and body."""


@dataclass(slots=True)
class Need:
    """How many bytes must go: for the ceiling, and for the free space that is to be left."""

    ceiling: int
    free: int

    @property
    def any(self) -> bool:
        """Whether something must go."""
        return self.ceiling > 0 or self.free > 0

    def less(self, size: int) -> None:
        """Count bytes that went."""
        self.ceiling -= size
        self.free -= size


class Losses:
    """What one transaction drops, gathered into as few `lost` records as say it all."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._records: dict[str, RangeSet] = {}
        self._pictures: dict[str, RangeSet] = {}

    def add(self, what: str, epoch: str, first: int, last: int) -> None:
        """Note records, or their thumbnails, as dropped."""
        found = self._records if what == "record" else self._pictures
        found.setdefault(epoch, RangeSet()).add(first, last)

    def insert(self, label: LabelLosses, insert: InsertLost) -> None:
        """Insert the records; a thumbnail whose record is lost too needs none of its own."""
        bare: dict[str, RangeSet] = {}
        for epoch, pictures in self._pictures.items():
            records = self._records.get(epoch, RangeSet())
            left = RangeSet(span for first, last in pictures for span in records.missing(first, last))
            if left:
                bare[epoch] = left
        reason = "no space left within outbox.max_mb and min_free_mb"
        for what, gone in (("record", self._records), ("thumbnail", bare)):
            for lost in label(what, gone, reason):
                insert(lost)


class HeldPictures:
    """How many bytes of pictures the rows of a file name: summed once, then kept up with what comes and goes.

    The sum of 100,000 took 12 ms, with every reading.
    """

    def __init__(self) -> None:
        """Nothing is summed yet."""
        self._connection: sqlite3.Connection | None = None
        self._bytes = self._top = 0

    def bytes(self, connection: sqlite3.Connection) -> int:
        """Return the sum of a file; another connection is another file, and is summed anew."""
        if connection is not self._connection:
            self._connection, self._bytes, self._top = connection, 0, 0
        came = f"SELECT coalesce(sum(min(thumbnail_bytes, {MAX_PICTURE})), 0) FROM records "
        newest = connection.execute("SELECT coalesce(max(id), 0) FROM records").fetchone()[0]
        if newest > self._top:
            # The first time over the index of pictures alone; later over the few rows that are new.
            which = "WHERE thumbnail IS NOT NULL" + (" AND +id > ?" if self._top == 0 else " AND id > ?")
            self._bytes += connection.execute(came + which, (self._top,)).fetchone()[0]
            self._top = newest
        return self._bytes

    def within(self, connection: sqlite3.Connection, first: int, last: int) -> int:
        """Return the counted bytes of the pictures that the rows with ids first..last name."""
        query = (
            f"SELECT coalesce(sum(min(thumbnail_bytes, {MAX_PICTURE})), 0) FROM records "
            "WHERE thumbnail IS NOT NULL AND id BETWEEN ? AND ?"
        )
        return int(connection.execute(query, (first, min(last, self._top))).fetchone()[0])

    def less(self, size: int) -> None:
        """Count pictures that went: the bytes of those that were counted."""
        self._bytes -= size


class Retention:
    """Keeps one file within its settings, in small transactions."""

    def __init__(
        self,
        path: Path,
        settings: tree.Outbox,
        sequence: Sequence,
        clock: Clock,
        remove_picture: Callable[[str], None],
        pictures: HeldPictures | None = None,
    ) -> None:
        """Nothing is read before `tidy`. pictures: goes on from one `Retention` of a file to the next."""
        self._pictures = pictures or HeldPictures()
        self._path, self._settings, self._sequence, self._clock = path, settings, sequence, clock
        self._remove_picture = remove_picture

    def tidy(self, released: Mapping[str, Released], label: LabelLosses, insert: InsertLost) -> Iterator[str]:
        """Drop what must go, yielding what was done; each loss is inserted with what it is the loss of."""
        if self._drop_records(self._expired(released), None, label, insert):
            yield "expired records dropped"
        need = self._need()
        if need.any and self._drop_pictures(released, need, True, label, insert):
            yield "released thumbnails dropped"
        while need.any and (rows := self._front(released, released_only=True)):
            need.less(self._drop_records(rows, None, label, insert))
            yield "released records dropped"
        if need.any and self._drop_pictures(released, need, False, label, insert):
            yield "thumbnails dropped"
        while need.ceiling > 0 and (rows := self._front(released, released_only=False)):
            need.less(self._drop_records(rows, released, label, insert))
            yield "readings dropped"
        self._sequence.connection.execute("PRAGMA incremental_vacuum(100)").fetchall()

    def used_bytes(self) -> int:
        """Return what the outbox holds: pages in use and pictures."""
        ask = self._sequence.connection.execute
        pages, free = ask("PRAGMA page_count").fetchone()[0], ask("PRAGMA freelist_count").fetchone()[0]
        size = ask("PRAGMA page_size").fetchone()[0]
        return int((pages - free) * size + self._pictures.bytes(self._sequence.connection))

    def _need(self) -> Need:
        ceiling = self.used_bytes() - self._settings.max_mb * 1_000_000
        free = self._settings.min_free_mb * 1_000_000 - free_bytes(self._path.parent)
        if ceiling > 0:  # a margin, so that it is not again at every capture
            ceiling += self._settings.max_mb * 10_000
        return Need(ceiling, free)

    def _expired(self, released: Mapping[str, Released]) -> list[Held]:
        before = self._clock.now().astimezone(UTC) - timedelta(days=self._settings.keep_days)
        return self._front(released, released_only=True, before=before.strftime("%Y-%m-%dT%H:%M:%S"))

    def _front(self, released: Mapping[str, Released], *, released_only: bool, before: str = "9999") -> list[Held]:
        """Return some of the oldest rows: all of one epoch, without a gap, and never the newest of all."""
        query = f"SELECT id, {COLUMNS} FROM records WHERE id < (SELECT max(id) FROM records) ORDER BY id LIMIT ?"
        rows: list[Held] = []
        # Row by row: mostly the first one is still wanted, and nothing after it needs to be read.
        with closing(self._sequence.connection.execute(query, (BATCH,))) as found:
            for number, *values in found:
                held = Row(*values)
                if not held.sound():  # a flipped number could pass for one that was released
                    raise DatabaseDamaged(f"{self._path}: the record with id {number} is not what was written")
                row: Held = (number, held.epoch, held.seq, held.thumbnail, held.thumbnail_bytes + len(held.body))
                wanted = self._unreleased(row, released) or self._shows(row, released)
                if (released_only and wanted) or held.recorded_at > before:
                    break
                rows.append(row)
        return rows if released_only else rows[: BATCH // 4]

    def _drop_records(
        self, rows: list[Held], released: Mapping[str, Released] | None, label: LabelLosses, insert: InsertLost
    ) -> int:
        """Delete the rows, with a loss for those that nobody else holds where `released` is given; return bytes."""
        if not rows:
            return 0
        ask = self._sequence.connection.execute
        with writing(self._sequence.connection, self._path):
            losses = Losses()
            for row in [] if released is None else rows:
                if self._unreleased(row, released or {}):
                    losses.add("record", row[1], row[2], row[2])
                    self._take_over(row, losses)
                elif self._shows(row, released or {}):
                    losses.add("thumbnail", row[1], row[2], row[2])
            size = self._pictures.within(self._sequence.connection, rows[0][0], rows[-1][0])
            ask("DELETE FROM records WHERE id BETWEEN ? AND ?", (rows[0][0], rows[-1][0]))
            losses.insert(label, insert)
            self._sequence.drop_empty_epochs()
        self._pictures.less(size)
        self._unlink([picture for _, _, _, picture, _ in rows if picture is not None])
        return sum(size for *_, size in rows)

    def _drop_pictures(
        self, released: Mapping[str, Released], need: Need, gone: bool, label: LabelLosses, insert: InsertLost
    ) -> bool:
        """Drop the oldest pictures that are released (or not, unless `gone`) until enough is free."""
        dropped, after = False, 0
        while need.any:
            found = self._sequence.connection.execute(
                "SELECT id, epoch, seq, thumbnail, thumbnail_bytes FROM records "
                "WHERE thumbnail IS NOT NULL AND id > ? ORDER BY id LIMIT ?",
                (after, BATCH),
            ).fetchall()
            if not found:
                break
            after = found[-1][0]
            rows: list[Held] = []
            for row in found:
                out = row[1] in released and row[2] in released[row[1]].thumbnails
                if out == gone and need.any:
                    rows.append(row)
                    need.less(row[4])
            if rows:
                self._forget_pictures(rows, gone, label, insert)
                dropped = True
        return dropped

    def _forget_pictures(self, rows: list[Held], gone: bool, label: LabelLosses, insert: InsertLost) -> None:
        with writing(self._sequence.connection, self._path):
            for row in rows:
                self._sequence.forget_picture(row[0])
            losses = Losses()
            for row in [] if gone else rows:
                losses.add("thumbnail", row[1], row[2], row[2])
            losses.insert(label, insert)
        self._pictures.less(sum(min(row[4], MAX_PICTURE) for row in rows))
        self._unlink([picture for _, _, _, picture, _ in rows if picture is not None])

    def _take_over(self, row: Held, losses: Losses) -> None:
        """Name again what a row names as lost that goes itself, unheard."""
        query = "SELECT body FROM records WHERE id = ? AND schema = ?"
        kinds: dict[str, type[Lost | LostRanges]] = {LOST_SCHEMA: Lost, LOST_RANGES_SCHEMA: LostRanges}
        for schema, kind in kinds.items():
            for (body,) in self._sequence.connection.execute(query, (row[0], schema)).fetchall():
                lost = jsontext.decode(body, kind)
                for epoch, first, last in ranges_of(lost):
                    losses.add(lost.what, epoch, first, last)

    def _unreleased(self, row: Held, released: Mapping[str, Released]) -> bool:
        """Return whether nobody else holds the record."""
        return row[1] not in released or row[2] not in released[row[1]].records

    def _shows(self, row: Held, released: Mapping[str, Released]) -> bool:
        """Return whether the row has a picture that nobody else holds."""
        return row[3] is not None and (row[1] not in released or row[2] not in released[row[1]].thumbnails)

    def _unlink(self, pictures: list[str]) -> None:
        """Delete the files of pictures that no row names any more (two identical pictures are one file)."""
        for sha in pictures:
            query = "SELECT 1 FROM records WHERE thumbnail = ? LIMIT 1"
            if self._sequence.connection.execute(query, (sha,)).fetchone() is None:
                self._remove_picture(sha)
