"""A pass over the whole database, part by part: what is wrong is named, and put right from what it was made from.

A record or a picture that is damaged is taken out of the account, so that a device that still holds it sends it again.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.contract.ranges import RangeSet
from station.days.keep import DayKeeper
from station.store.account import less, read_account
from station.store.inspection import (
    ACCOUNT,
    DERIVED,
    INDEX,
    ORPHAN,
    PICTURE,
    RECORD,
    Finding,
    Inspection,
    Key,
    derived_rows,
)
from station.store.ledger import Ledger
from station.store.record_rows import COLUMNS, RecordRow, read_body

RECORDS_A_PART: Final = 200
PICTURES_A_PART: Final = 20
_PHASES: Final = ("records", "readings", "animals", "events", "clock_corrections", "pictures", "accounts")
_STATE, _LAST = "verify", "verified"
_FIRST: Final[Key] = ("", "", 0)


@dataclass(slots=True)
class Pass:
    """How far a pass is. phase: index into the phases; at: the last key that was looked at; found: by kind."""

    began_s: float
    phase: int = 0
    at: list[Any] = field(default_factory=list)
    records: int = 0
    pictures: int = 0
    found: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LastPass:
    """The last complete pass: Unix seconds, what was looked at, and what was found by kind."""

    ended_s: float
    records: int
    pictures: int
    found: dict[str, int]


class Upkeep:
    """One pass at a time. With a ledger it repairs, inside the caller's transaction; without one it only looks."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        data: Path,
        ledger: Ledger | None,
        days: DayKeeper | None = None,
        *,
        may_delete: bool = True,
    ) -> None:
        """Use the store's parts, or a reader's connection. may_delete: without it damaged records are only named."""
        self._may_delete = may_delete
        self._connection, self._ledger, self._days = connection, ledger, days
        self._inspection = Inspection(connection, data)
        self._pass: Pass | None = None

    def next_part(self, now_s: float, *, fresh: bool = False) -> tuple[list[Finding], bool]:
        """Return the next part's findings, put right where that can be done, and whether the pass is complete.

        fresh: begin a pass, also where one is half done.
        """
        state = (None if fresh else self._load()) or Pass(now_s)
        findings = self._look(state)
        if self._ledger is not None:
            self._make_indexes({finding.table for finding in findings if finding.kind == INDEX})
        for finding in findings:
            state.found[finding.kind] = state.found.get(finding.kind, 0) + 1
            if self._ledger is not None and (self._may_delete or finding.kind != RECORD):
                self._repair(self._ledger, finding)
        complete = state.phase == len(_PHASES)
        if self._ledger is None:
            self._pass = None if complete else state
        else:
            self._save(state, now_s, complete=complete)
        return findings, complete

    def _look(self, state: Pass) -> list[Finding]:
        phase, look = _PHASES[state.phase], self._inspection
        after: Key = (str(state.at[0]), str(state.at[1]), int(state.at[2])) if len(state.at) == 3 else _FIRST
        if phase == "records":
            last, number, findings = look.records(int(state.at[0]) if state.at else 0, RECORDS_A_PART)
            state.records += number
            at: list[Any] | None = None if last is None else [last]
        elif phase == "pictures":
            key, number, findings = look.pictures(after, PICTURES_A_PART)
            state.pictures += number
            at = None if key is None else list(key)
        elif phase == "accounts":
            place = (str(state.at[0]), str(state.at[1])) if len(state.at) == 2 else ("", "")
            epochs = look.epochs(place, 5)
            findings = [finding for epoch in epochs for finding in self._account(*epoch)]
            at = list(epochs[-1]) if epochs else None
        else:
            key, _, findings = look.orphans(phase, after, RECORDS_A_PART)
            at = None if key is None else list(key)
        if at is None:
            state.phase, state.at = state.phase + 1, []
        else:
            state.at = at
        return findings

    def _account(self, device: str, epoch: str) -> list[Finding]:
        """Return a finding where a sequence's account is not what the tables hold; set it right with a ledger."""
        row = self._connection.execute(
            "SELECT records, thumbnails, lost, lost_thumbnails, received_at FROM main.accounts "
            "WHERE device = ? AND epoch = ?",
            (device, epoch),
        ).fetchone()
        written = read_account(tuple(row))
        account = written if self._ledger is None else self._ledger.find(device, epoch) or written
        came, pictureless = self._inspection.came(device, epoch, account.records)
        thumbnails = less(account.thumbnails, pictureless)
        if all((one.records, one.thumbnails) == (came, thumbnails) for one in (written, account)):
            return []
        account.records, account.thumbnails = came, thumbnails
        return [Finding(ACCOUNT, (device, epoch, 0), "it does not say what the tables hold")]

    def _repair(self, ledger: Ledger, finding: Finding) -> None:
        device, epoch, seq = key = finding.key
        if finding.kind == RECORD:
            self._set_aside(finding)
            account = ledger.find(device, epoch)  # none where the name of its device is what was damaged
            if account is not None:
                account.records = less(account.records, RangeSet([(seq, seq)]))
        elif finding.kind == DERIVED:
            values = self._connection.execute(f"SELECT {COLUMNS} FROM records WHERE id = ?", (finding.row,)).fetchone()
            row = RecordRow(*values)
            self._remove_derived(key)
            for table, made in (derived_rows(row, read_body(row)) or {}).items():
                for one in made:
                    marks = ", ".join("?" * len(one))
                    self._connection.execute(f"INSERT INTO {table} VALUES ({marks})", one)
            self._note_day(key)
        elif finding.kind == ORPHAN:
            self._note_day(key)
            self._connection.execute(f"DELETE FROM {finding.table} WHERE device = ? AND epoch = ? AND seq = ?", key)
        elif finding.kind == INDEX:
            self._note_day(key)
        elif finding.kind == PICTURE:
            self._connection.execute("DELETE FROM thumbnails WHERE device = ? AND epoch = ? AND seq = ?", key)
            account = ledger.find(device, epoch)
            if account is not None:
                account.thumbnails = less(account.thumbnails, RangeSet([(seq, seq)]))

    def _make_indexes(self, tables: set[str]) -> None:
        """Make a damaged index anew, before a row is struck: SQLite refuses to strike one that its index lacks."""
        for table in sorted(tables):
            self._connection.execute(f"REINDEX {table}")

    def _set_aside(self, finding: Finding) -> None:
        """Move a damaged record into the quarantine, under no number: what is there counts as what came."""
        self._connection.execute(
            "INSERT OR REPLACE INTO quarantine "
            "(device, stream, digest, epoch, seq, reason, bytes, content, received_at) "
            "SELECT device, 'damaged', digest, '', 0, ?, length(body) + 1, body, received_at FROM records WHERE id = ?",
            (str(finding)[:2000], finding.row),
        )
        self._connection.execute("DELETE FROM records WHERE id = ?", (finding.row,))
        self._remove_derived(finding.key)

    def _note_day(self, key: Key) -> None:
        """Note that the day of a reading, or of those whose clock it corrects, is to be made anew."""
        if self._days is None:
            return
        where = "WHERE device = ? AND epoch = ? AND seq = ?"
        for row in self._connection.execute(
            f"SELECT captured_s, boot_id, monotonic_s, clock_synced FROM readings {where}", key
        ).fetchall():
            self._days.note_reading(key[0], *row[:3], synced=row[3] == 1)
        for (boot,) in self._connection.execute(f"SELECT of_boot_id FROM clock_corrections {where}", key).fetchall():
            self._days.note_boot(key[0], boot)

    def _remove_derived(self, key: Key) -> None:
        self._note_day(key)
        for table in ("readings", "animals", "events", "clock_corrections"):
            self._connection.execute(f"DELETE FROM {table} WHERE device = ? AND epoch = ? AND seq = ?", key)

    def _load(self) -> Pass | None:
        if self._ledger is None:
            return self._pass  # a reader can write nothing down
        found = self._connection.execute("SELECT value FROM meta WHERE key = ?", (_STATE,)).fetchone()
        try:
            values = json.loads(found[0]) if found is not None else {}
            state = Pass(**values)
            return state if 0 <= state.phase < len(_PHASES) else None
        except (ValueError, TypeError):
            return None

    def _save(self, state: Pass, now_s: float, *, complete: bool) -> None:
        if not complete:
            values = json.dumps(asdict(state))
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_STATE, values))
            return
        last = LastPass(now_s, state.records, state.pictures, state.found)
        self._connection.execute("DELETE FROM meta WHERE key = ?", (_STATE,))
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_LAST, json.dumps(asdict(last))))


def read_last_pass(connection: sqlite3.Connection) -> LastPass | None:
    """Return the last complete pass, None where there was none."""
    found = connection.execute("SELECT value FROM main.meta WHERE key = ?", (_LAST,)).fetchone()
    try:
        return None if found is None else LastPass(**json.loads(found[0]))
    except (ValueError, TypeError):
        return None
