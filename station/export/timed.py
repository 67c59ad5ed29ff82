"""The rows of an exported file, device by device in the order of time, without holding more than one in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from station.export.choice import Choice
from station.export.columns import ANIMALS, EVENTS, LOSSES, READING_BASIS, READINGS, SUBJECTS, File
from station.export.whose import SIGHT, Attribution
from station.printable import as_cell, printable

_OFFSETS = "CREATE TEMP TABLE IF NOT EXISTS offsets (device, boot_id, offset_s, PRIMARY KEY (device, boot_id))"
_EACH_DEVICE = """
WITH RECURSIVE name(device) AS (
    SELECT min(device) FROM main.{0} WHERE device >= ''
    UNION ALL
    SELECT (SELECT min(device) FROM main.{0} WHERE device > name.device) FROM name WHERE name.device IS NOT NULL
) SELECT device FROM name WHERE device IS NOT NULL AND typeof(device) = 'text'
"""
_NAMED_BY = """
WITH RECURSIVE name(device) AS (
    SELECT min(device) FROM main.animals WHERE subject = :subject
    UNION ALL
    SELECT (SELECT min(device) FROM main.animals WHERE subject = :subject AND device > name.device)
    FROM name WHERE name.device IS NOT NULL
) SELECT device FROM name WHERE device IS NOT NULL"""
_OF_CAGE = (
    "SELECT device FROM days WHERE cage = :cage UNION SELECT device FROM days_due d WHERE EXISTS "
    "(SELECT 1 FROM main.readings r WHERE r.device = d.device AND r.cage = :cage)"
)
"""Where a cage was seen: the days say it, but for those that wait to be made."""
_ESTIMATES = (
    "SELECT subject, identity_method, identity_confidence FROM main.animals WHERE device = ? AND epoch = ? AND seq = ?"
)
_UNTIMED = (
    "SELECT device, epoch, seq FROM main.readings INDEXED BY readings_not_synchronised "
    "WHERE device = ? AND clock_synced IS NOT 1"
)
_WITHIN = (
    "SELECT device, epoch, seq FROM main.readings INDEXED BY readings_by_time WHERE device = ? AND captured_s >= ? "
    f"AND captured_s < ? UNION {_UNTIMED}"
)
"""The keys of all readings that may lie in a span; those whose clock was corrected later are few."""
_FAR_S = 1e18
_BATCH = 200


class _Cells(dict[bytes, str]):
    """From a text of the database to its cell; most texts come again and again."""

    def __missing__(self, raw: bytes) -> str:
        if len(self) >= 20_000:
            self.clear()
        cell = self[raw] = as_cell(printable(raw.decode("utf-8", "replace")))
        return cell


@dataclass(slots=True)
class Rows:
    """Reads one snapshot of the database. untimed: how many readings were left out, as nobody knows their time."""

    connection: sqlite3.Connection
    choice: Choice
    attribution: Attribution
    untimed: int = 0
    _cells: _Cells = field(default_factory=_Cells)

    def of(self, file: File) -> Iterator[list[Sequence[Any]]]:
        """Yield the file's rows some hundred at a time, as cells that neither terminal nor spreadsheet obeys."""
        cells = self._cells
        for part in self.raw(file, ", ".join(column.text_source for column in file.columns)):
            yield [[cells[one] if one.__class__ is bytes else one for one in row] for row in part]

    def raw(self, file: File, select: str = "") -> Iterator[list[Any]]:
        """Yield the file's rows as they are stored, texts as bytes and times as Unix seconds.

        select: SQL for the columns, instead of their own sources.
        """
        select = select or ", ".join(column.source for column in file.columns)
        with _as_bytes(self.connection):
            if file.name == SUBJECTS.name:
                yield self._subjects(file, select)
            elif file.name == ANIMALS.name:
                yield from self._animals(file, select)
            elif file.name == READINGS.name and self.choice.subjects:
                yield from self._readings(file, select)
            else:
                yield from self._by_device(file, select)

    def _animals(self, file: File, select: str) -> Iterator[list[Any]]:
        """Yield estimates, each with whose it is."""
        width, names, of = len(file.columns), self.choice.subjects, self.attribution.of
        shown = [(place, column.whose) for place, column in enumerate(file.columns) if column.whose]
        sight = SIGHT.format(at_s=file.at_s, basis=READING_BASIS)
        for part in self._by_device(file, f"{select}, {sight}, a.subject, a.identity_method, a.identity_confidence"):
            rows = []
            for row in part:
                named = of(row[width : width + 6], *row[width + 6 :])
                if names and named.subject not in names:
                    continue
                cells = list(row[:width])
                for place, which in shown:
                    value = getattr(named, which)
                    cells[place] = value.encode("utf-8", "replace") if value.__class__ is str else value
                rows.append(cells)
            yield rows

    def _readings(self, file: File, select: str) -> Iterator[list[Any]]:
        """Yield the readings that are of one of the animals that were asked for."""
        width = len(file.columns)
        sight = SIGHT.format(at_s=file.at_s, basis=READING_BASIS)
        for part in self._by_device(file, f"{select}, {sight}, r.epoch, r.seq"):
            yield [row[:width] for row in part if self._shows(row[width : width + 6], row[width + 6 :])]

    def _shows(self, sight: tuple[Any, ...], key: tuple[Any, ...]) -> bool:
        """Return whether a reading is of one of the animals that were asked for."""
        estimates = self.connection.execute(_ESTIMATES, (sight[0].decode("utf-8", "replace"), _text(key[0]), key[1]))
        found = estimates.fetchall()
        if not found:
            return self.attribution.of_reading(sight) in self.choice.subjects
        return any(self.attribution.of(sight, *one).subject in self.choice.subjects for one in found)

    def _subjects(self, file: File, select: str) -> list[Any]:
        choice = self.choice
        chosen = [
            one.subject
            for one in self.attribution.subjects
            if (not choice.subjects or one.subject in choice.subjects)
            and (not choice.cages or {one.cage, *(stay.cage for stay in one.stays)} & choice.cages)
        ]
        query = f"SELECT {select} FROM {file.tables} WHERE s.subject = ?"
        return [row for name in chosen for row in self.connection.execute(query, (name,)).fetchall()]

    def _by_device(self, file: File, select: str) -> Iterator[list[Any]]:
        """Yield the rows of one device after the other."""
        for device in self._devices(file):
            (tables, first), (wheres, values) = self._tables(file, device), self._where(file, device)
            query = f"SELECT {select} FROM {tables} WHERE {wheres} ORDER BY {file.order}"
            cursor = self.connection.execute(query, [*first, *values])
            while rows := cursor.fetchmany(_BATCH):
                yield rows

    def _where(self, file: File, device: str) -> tuple[str, list[Any]]:
        choice = self.choice
        wheres, values = [f"{file.device} = ?", f"({file.sound})"], [device]
        if choice.cages and file.cage:
            wheres.append(f"{file.cage} IN ({', '.join('?' * len(choice.cages))})")
            values += sorted(choice.cages)
        if choice.accepted_only and file.accepted:
            wheres.append(f"{file.accepted} = 1")
        if choice.untimed_only:
            wheres.append(f"{file.clock} IS NOT 1 AND o.offset_s IS NULL")
        if not choice.timed:
            return " AND ".join(wheres), values
        first, after = choice.window(self.attribution.zones.of(device))
        wheres.append(f"({file.clock} = 1 OR o.offset_s IS NOT NULL)" if file.clock else "true")
        wheres.append(f"({file.at_s}) >= ? AND ({file.at_s}) < ?")
        return " AND ".join(wheres), [*values, max(first, -_FAR_S), min(after, _FAR_S)]

    def _tables(self, file: File, device: str) -> tuple[str, list[Any]]:
        """Return what the rows come from. Of a span of time the readings are found by their indexes, key by key."""
        if not (self.choice.timed or self.choice.untimed_only) or file.name not in (READINGS.name, ANIMALS.name):
            return file.tables, []
        same = "ON r.device = k.device AND r.epoch = k.epoch AND r.seq = k.seq"
        keys = _UNTIMED if self.choice.untimed_only else _WITHIN
        tables = file.tables.replace("main.readings r", f"({keys}) k CROSS JOIN main.readings r {same}", 1)
        if self.choice.untimed_only:
            return tables, [device]
        if file.name == READINGS.name:
            self._count_untimed(device)
        first, after = self.choice.window(self.attribution.zones.of(device))
        return tables, [device, max(first, -_FAR_S), min(after, _FAR_S), device]

    def _count_untimed(self, device: str) -> None:
        """Count the readings that a span of time leaves out, because nobody knows when they were."""
        query = (
            "SELECT count(*) FROM main.readings r WHERE r.device = ? AND r.clock_synced IS NOT 1 AND NOT EXISTS "
            "(SELECT 1 FROM temp.offsets o WHERE o.device = r.device AND o.boot_id = r.boot_id)"
        )
        self.untimed += self.connection.execute(query, (device,)).fetchone()[0]

    def _devices(self, file: File) -> list[str]:
        """Return the devices that may have rows of what is asked for, in order."""
        table = {READINGS.name: "readings", ANIMALS.name: "readings", EVENTS.name: "events", LOSSES.name: "losses"}
        each = [_text(row[0]) for row in self.connection.execute(_EACH_DEVICE.format(table[file.name])).fetchall()]
        for one in (self._of_subjects(), self._of_cages()):
            each = each if one is None else [device for device in each if device in one]
        return each

    def _of_subjects(self) -> set[str] | None:
        if not self.choice.subjects:
            return None
        found: set[str] = set()
        for name in self.choice.subjects:
            found |= {_text(row[0]) for row in self.connection.execute(_NAMED_BY, {"subject": name}).fetchall()}
        for subject in self.attribution.subjects:
            if subject.subject not in self.choice.subjects:
                continue
            for cage, device in [(subject.cage, subject.device), *((one.cage, one.device) for one in subject.stays)]:
                if device is not None:
                    found.add(device)
                elif cage is not None:
                    found |= self._seeing(cage)
        return found

    def _of_cages(self) -> set[str] | None:
        return set().union(*map(self._seeing, self.choice.cages)) if self.choice.cages else None

    def _seeing(self, cage: str) -> set[str]:
        return {_text(row[0]) for row in self.connection.execute(_OF_CAGE, {"cage": cage}).fetchall()}


def begin_snapshot(connection: sqlite3.Connection) -> None:
    """Begin a transaction, with the best clock correction of each boot in the temporary table `offsets`."""
    connection.execute(_OFFSETS)
    connection.execute("BEGIN")
    connection.execute("DELETE FROM temp.offsets")
    connection.execute(
        "INSERT INTO temp.offsets SELECT device, of_boot_id, epoch_offset_s FROM best_correction "
        "WHERE epoch_offset_s IS NOT NULL"
    )


@contextmanager
def _as_bytes(connection: sqlite3.Connection) -> Iterator[None]:
    """Have texts come as bytes: decoding each anew would cost more than the rest of a row."""
    before = connection.text_factory
    connection.text_factory = bytes
    try:
        yield
    finally:
        connection.text_factory = before


def _text(raw: object) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
