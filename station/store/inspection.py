"""What is wrong with stored rows and pictures: each compared with what it was made from. Reads only."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.contract import identity
from edge.contract.identity import Head
from edge.contract.ranges import RangeSet
from edge.contract.reading import SCHEMA as READING_SCHEMA
from edge.contract.reading import Reading
from edge.contract.record import ClockCorrection, Event
from station.store import rows
from station.store.message import Arrival, Record, read_record
from station.store.record_rows import COLUMNS, RecordRow, check_seal, read_body
from station.store.removed import (
    BODIES,
    THUMBNAILS,
    BodyMark,
    digest_rows,
    is_in_log,
    read_body_mark,
    read_path_mark,
)

Key = tuple[str, str, int]
"""(device, epoch, seq)"""
RECORD, DERIVED, ORPHAN, PICTURE, ACCOUNT = "record", "derived", "without a record", "picture", "account"
WITHOUT_BODY = "without its body"
"""Rows whose record's body retention removed and that are no more what they were: nothing is left to make them from."""
INDEX = "index"
_ANY_SIZE: Final = 1 << 40
_KEY = "device = ? AND epoch = ? AND seq = ?"
_DERIVED: Final = ("readings", "animals", "events", "clock_corrections")
_LED_TO: Final = (
    "SELECT 'records' FROM main.records k WHERE k.id = :id AND NOT EXISTS (SELECT 1 FROM main.records i INDEXED BY "
    "records_by_number WHERE i.device = k.device AND i.epoch = k.epoch AND i.seq = k.seq AND i.id = k.id) UNION ALL "
    "SELECT 'readings' FROM main.readings r WHERE r.device = :device AND r.epoch = :epoch AND r.seq = :seq AND NOT "
    "EXISTS (SELECT 1 FROM main.readings i INDEXED BY readings_by_time WHERE i.device = r.device AND i.captured_s = "
    "r.captured_s AND i.epoch = r.epoch AND i.seq = r.seq) UNION ALL "
    "SELECT 'animals' FROM main.animals a WHERE a.device = :device AND a.epoch = :epoch AND a.seq = :seq AND NOT "
    "EXISTS (SELECT 1 FROM main.animals i INDEXED BY animals_by_subject WHERE i.subject IS a.subject AND i.device = "
    "a.device AND i.epoch = a.epoch AND i.seq = a.seq AND i.number = a.number)"
)
"""Tables of which an index does not lead to what a record has made: whoever asks by it misses the row."""
_SAME = "{0}.device = r.device AND {0}.epoch = r.epoch AND {0}.seq = r.seq"
_PICTURELESS = (
    "SELECT seq FROM main.readings r WHERE device = ? AND epoch = ? AND thumbnail_sha256 IS NOT NULL "
    f"AND NOT EXISTS (SELECT 1 FROM main.thumbnails t WHERE {_SAME.format('t')}) "
    f"AND NOT EXISTS (SELECT 1 FROM main.quarantine q WHERE {_SAME.format('q')} "
    "AND q.stream IN ('thumbnail', 'unknown')) "
    f"AND NOT EXISTS (SELECT 1 FROM main.conflicts c WHERE {_SAME.format('c')} AND c.what = 'thumbnail')"
)
_STORED = (
    "SELECT seq FROM main.records WHERE device = :device AND epoch = :epoch UNION SELECT seq FROM main.quarantine "
    "WHERE device = :device AND epoch = :epoch AND stream IN ('reading', 'record')"
)
_TRACED = "SELECT seq FROM main.quarantine WHERE device = :device AND epoch = :epoch AND stream = 'unknown'"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not what it should be. kind: RECORD, DERIVED, ORPHAN, PICTURE, ACCOUNT, WITHOUT_BODY or INDEX.

    row: of a damaged record the number in `records`; table: where a row without a record stands, or whose index it is.
    """

    kind: str
    key: Key
    what: str
    row: int = 0
    table: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        device, epoch, seq = self.key
        return f"{device}: {self.kind} {str(epoch)[:8]}:{seq}: {self.what}"


class Inspection:
    """Looks at the tables part by part; each part returns where the next one begins, None behind the last."""

    def __init__(self, connection: sqlite3.Connection, data: Path) -> None:
        """Use a connection of any kind, and the folder of the pictures."""
        self._connection, self._data = connection, data

    def records(self, after: int, most: int) -> tuple[int | None, int, list[Finding]]:
        """Return (number of the last row, how many, findings) of the next records and what was derived from them."""
        found = self._connection.execute(
            f"SELECT id, {COLUMNS} FROM main.records WHERE id > ? ORDER BY id LIMIT ?", (after, most)
        ).fetchall()
        findings = [finding for number, *row in found for finding in self._record(number, RecordRow(*row))]
        if isinstance(self._connection, sqlite3.Connection):  # a server looks after its indexes itself
            findings += [finding for number, *row in found for finding in self._led_to(number, RecordRow(*row))]
        return (found[-1][0] if found else None), len(found), findings

    def orphans(self, table: str, after: Key, most: int) -> tuple[Key | None, int, list[Finding]]:
        """Return (key of the last row, how many, findings) of the next rows of a table that was derived."""
        query = f"SELECT device, epoch, seq FROM main.{table} WHERE (device, epoch, seq) > (?, ?, ?) "
        keys = [
            (row[0], row[1], row[2])
            for row in self._connection.execute(f"{query} ORDER BY 1, 2, 3 LIMIT ?", (*after, most)).fetchall()
        ]
        there = f"SELECT 1 FROM main.records WHERE {_KEY}"
        findings = [
            Finding(ORPHAN, key, f"a row of {table} without its record", table=table)
            for key in dict.fromkeys(keys)
            if not self._connection.execute(there, key).fetchone()
        ]
        return (keys[-1] if keys else None), len(keys), findings

    def pictures(self, after: Key, most: int) -> tuple[Key | None, int, list[Finding]]:
        """Return (key of the last one, how many, findings) of the next pictures, each read from its file."""
        columns = "device, epoch, seq, path, sha256, received_at"
        query = f"SELECT {columns} FROM main.thumbnails WHERE (device, epoch, seq) > (?, ?, ?) "
        found = self._connection.execute(f"{query} ORDER BY 1, 2, 3 LIMIT ?", (*after, most)).fetchall()
        findings = []
        for device, epoch, seq, path, digest, received_at in found:
            line = read_path_mark(path)
            if line is not None:
                known = is_in_log(self._connection, line, THUMBNAILS, received_at)
                wrong = "" if known else "it is gone, and no line of retention_log says so"
            else:
                wrong = self._picture((device, epoch, seq), path, digest)
            if wrong:
                findings.append(Finding(PICTURE, (device, epoch, seq), wrong))
        return ((found[-1][0], found[-1][1], found[-1][2]) if found else None), len(found), findings

    def epochs(self, after: tuple[str, str], most: int) -> list[tuple[str, str]]:
        """Return the next sequences of which anything is accounted for."""
        query = "SELECT device, epoch FROM main.accounts WHERE (device, epoch) > (?, ?) ORDER BY 1, 2 LIMIT ?"
        return [(row[0], row[1]) for row in self._connection.execute(query, (*after, most)).fetchall()]

    def came(self, device: str, epoch: str, claimed: RangeSet) -> tuple[RangeSet, RangeSet]:
        """Return the numbers whose record came, and those whose picture is missing.

        claimed: by the account; of a message that left only a trace nobody knows whether it was a record.
        """
        of = {"device": device, "epoch": epoch}
        came = _numbers(self._connection.execute(_STORED, of).fetchall())
        for first, last in _numbers(self._connection.execute(_TRACED, of).fetchall()):
            for seq in range(first, last + 1):
                if seq in claimed:
                    came.add(seq)
        return came, _numbers(self._connection.execute(_PICTURELESS, (device, epoch)).fetchall())

    def _record(self, number: int, row: RecordRow) -> list[Finding]:
        key = (row.device, row.epoch, row.seq)
        try:
            mark = read_body_mark(row.body)
            if mark is not None:
                return self._without_body(number, row, mark)
            body = read_body(row)
        except (ValueError, TypeError) as error:
            return [Finding(RECORD, key, str(error), row=number)]
        expected = derived_rows(row, body)
        if expected is None:
            return []  # a form that only an earlier version knew
        stored = stored_rows(self._connection, key)
        wrong = [table for table in _DERIVED if stored[table] != expected.get(table, [])]
        return [Finding(DERIVED, key, f"not what its record says: {', '.join(wrong)}", row=number)] if wrong else []

    def _without_body(self, number: int, row: RecordRow, mark: BodyMark) -> list[Finding]:
        """Return what is wrong with a record whose body retention removed.

        Raises:
            ValueError: the row is not what was written, or no line of the audit table knows of its removal.
        """
        check_seal(row)
        if not is_in_log(self._connection, mark.line, BODIES, row.received_at):
            raise ValueError("its body is gone, and no line of retention_log says so")
        key = (row.device, row.epoch, row.seq)
        if digest_rows(stored_rows(self._connection, key), mark.widths) == mark.rows:
            return []
        what = "its rows are not what they were when retention removed the body; compare them with a backup"
        return [Finding(WITHOUT_BODY, key, what, row=number)]

    def _led_to(self, number: int, row: RecordRow) -> list[Finding]:
        key = (row.device, row.epoch, row.seq)
        values = {"id": number, "device": row.device, "epoch": row.epoch, "seq": row.seq}
        tables = self._connection.execute(_LED_TO, values).fetchall()
        return [Finding(INDEX, key, f"an index of {table} does not lead to it", table=table) for (table,) in tables]

    def _picture(self, key: Key, path: object, digest: object) -> str:
        """Return what is wrong with a picture, "" for nothing."""
        try:
            content = (self._data / str(path)).read_bytes()
        except (OSError, ValueError) as error:
            return f"{path}: {error}"
        if hashlib.sha256(content).hexdigest() != digest:
            return f"{path}: its content is not what was written"
        said = self._connection.execute(f"SELECT thumbnail_sha256 FROM main.readings WHERE {_KEY}", key).fetchone()
        return f"{path}: not the one that its reading describes" if said is not None and said[0] != digest else ""


def stored_rows(connection: sqlite3.Connection, key: Key) -> dict[str, list[rows.Row]]:
    """Return the rows of the other tables that stand under a record's key, by table."""
    found = {}
    for table in _DERIVED:
        order = "ORDER BY number" if table == "animals" else ""
        rows_of = connection.execute(f"SELECT * FROM main.{table} WHERE {_KEY} {order}", key).fetchall()
        found[table] = [tuple(row) for row in rows_of]
    return found


def derived_rows(row: RecordRow, body: bytes) -> dict[str, list[rows.Row]] | None:
    """Return the rows of the other tables that a record makes; None where this version cannot read it."""
    head = Head(row.epoch, row.seq, 1, False)
    stream = "reading" if row.schema == READING_SCHEMA else "record"
    record = read_record(Arrival(row.device, stream, identity.join(head, body), row.received_at), _ANY_SIZE)
    if not isinstance(record, Record):
        return None
    content = record.content
    if isinstance(content, Reading):
        return {
            "readings": [rows.reading_row(row.device, head, content)],
            "animals": rows.animal_rows(row.device, head, content),
        }
    if isinstance(content, Event):
        return {"events": [rows.event_row(row.device, head, content)]}
    if isinstance(content, ClockCorrection):
        return {"clock_corrections": [rows.correction_row(row.device, head, content)]}
    return {}


def _numbers(found: Sequence[Sequence[object]]) -> RangeSet:
    """Return a column's sequence numbers; what a person or a flipped bit has put there instead is none."""
    return RangeSet((seq, seq) for seq in sorted(row[0] for row in found if isinstance(row[0], int) and row[0] > 0))
