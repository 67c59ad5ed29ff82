"""One file of records with one writer: opened, appended to, and replaced by a successor where it is damaged.

`outbox.db` and `delivery.db` are one each. What the two do differently is said by an `Owner`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from edge.contract import jsontext
from edge.contract.base import Scalar
from edge.contract.record import ClockCorrection, Event, Lost, LostRanges
from edge.errors import DatabaseDamaged, DiskFull, StorageError
from edge.outbox.database import close_writer, open_writer, translating, writing
from edge.outbox.label import Labels
from edge.outbox.recovery import replace
from edge.outbox.recovery.integrity import Saved, look_through
from edge.outbox.recovery.wal import inspect_wal
from edge.outbox.row import new_row
from edge.outbox.sequence import SCHEMA, START, Sequence, add_checksums
from edge.outbox.watermarks import Released

Record = Event | Lost | LostRanges | ClockCorrection
Key = tuple[str, int]
"""Epoch and sequence number."""
SERIAL, TORN = "serial", "torn"
"""Remembered texts: the board that the file was last written on; how many transactions a torn journal may lack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What one program's file has of its own.

    program: its name in the events of a start. tables: SQL that makes them, besides those of the sequence.
    released: reads what a station holds, which a salvage need not name as lost. remembered: texts that the beginning of
    each epoch writes; a `serial` that differs from the file's is another board. checked_whole: whether the whole file
    is looked through when it is opened. upgrade: what a file of an earlier version needs. make_room: called once where
    the disk is too full to go on. take_over: puts what else is to be kept into a damaged file's successor.
    """

    program: str
    tables: str
    released: Callable[[], dict[str, Released]]
    remembered: Mapping[str, str] = field(default_factory=dict)
    checked_whole: bool = False
    upgrade: Callable[[sqlite3.Connection], None] = lambda _connection: None
    make_room: Callable[[], None] = lambda: None
    take_over: Callable[[sqlite3.Connection, Mapping[str, Released]], None] = lambda _connection, _released: None


class RecordFile:
    """The writer's side of one file. Each process that opens it writes under an epoch of its own."""

    connection: sqlite3.Connection
    sequence: Sequence

    def __init__(self, path: Path, owner: Owner, labels: Labels) -> None:
        """Open the file, or replace a damaged one by what is readable of it. The caller holds the writer's lock.

        Raises:
            DiskFull: there is no room for it.
            StorageError: it cannot be opened or made.
        """
        self.path, self.labels = path, labels
        self._owner = owner
        self._take_epoch()
        self._is_open = self._is_behind = False
        replace.finish_replacement(path)
        replace.remove_successor(path)
        wal = inspect_wal(path)
        try:
            if wal.damaged:
                raise DatabaseDamaged("its journal is broken in the middle")
            self._open()
        except DatabaseDamaged as error:
            self.replace_damaged(str(error))
            return
        if wal.torn:
            # After a power cut nothing is missing; after a flipped bit the newest record is. The next epoch says so.
            with self.changing():
                self.sequence.set_meta(TORN, str(wal.uncertain))

    @property
    def next_seq(self) -> int:
        """The next record's number: the first of an epoch that has one before is the record that begins the epoch."""
        self._catch_up()
        begins = not self.sequence.begun and self.sequence.before[0] != ""
        return self.sequence.last_seq + 1 + begins

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Run the body in one transaction; after a rollback memory is brought back to where the file stands.

        Raises:
            DiskFull, DatabaseDamaged, StorageError: what SQLite raised, by who must act.
        """
        try:
            self._catch_up()
            with writing(self.connection, self.path):
                yield
        except BaseException:
            self._is_behind = True
            with suppress(StorageError):  # what went wrong first is what is raised; the next change reads again
                self._catch_up()
            raise

    def append(self, record: Record) -> Key:
        """Insert within the caller's transaction, perhaps as this process's first record; return (epoch, seq)."""
        self.begin_epoch()
        return self.insert(record)

    def insert(self, record: Record) -> Key:
        """Insert within the caller's transaction and the epoch that has begun; return (epoch, seq)."""
        epoch, seq = self.sequence.epoch, self.sequence.last_seq + 1
        body = jsontext.encode(record)
        self.sequence.insert(new_row(epoch, seq, "record", record.schema, record.recorded_at, body, None, ""))
        return epoch, seq

    def begin_epoch(self, damage: str = "") -> None:
        """Begin this process's epoch within the caller's transaction, where it has not begun.

        Its first record names the epoch before, that one's last number and the start counter, so that a station sees
        what it lacks at an epoch's end. The very first epoch of a file has nothing to name.
        damage: what was wrong with the file that this one is the successor of.
        """
        sequence = self.sequence
        if sequence.begun:
            return
        (before, last), (reason, text, more) = sequence.before, self._why_begun(damage)
        starts = sequence.begin_epoch(reason)
        for key, value in self._owner.remembered.items():
            sequence.set_meta(key, value)
        sequence.set_meta(TORN, "")
        if before:
            detail: dict[str, Scalar] = {"reason": reason, "before": before, "last": last, "starts": starts}
            # Of the start, which is when the epoch begins: what waited with it for the first reading is younger.
            self.insert(self.labels.event("epoch_begun", text, detail | more, self._began))

    def holds(self, epoch: str, seq: int) -> bool:
        """Return whether a record is there: the damage may have shown only after its commit, and then it was saved."""
        with translating(self.path):
            found = self.connection.execute("SELECT 1 FROM records WHERE epoch = ? AND seq = ?", (epoch, seq))
            return found.fetchone() is not None

    def reload(self) -> None:
        """Read where the file stands: after a rollback memory may be ahead of it."""
        with translating(self.path):
            self.sequence.reload()
        self._is_behind = False

    def replace_damaged(self, finding: str) -> None:
        """Set the file aside and go on in a new epoch with what could be saved of it.

        Raises:
            DiskFull: there is no room even for a file that holds no saved record.
        """
        if self._is_open:
            self.connection.close()
        released = self._owner.released()

        def make(aside: str, saved: Saved) -> None:
            self._make_successor(finding, aside, saved, released)

        replace.replace_damaged(self.path, released, make, self._owner.make_room)
        self._connect(self.path)

    def close(self) -> None:
        """Close the file."""
        close_writer(self.connection, self.path)

    def _take_epoch(self) -> None:
        """Take the name of the epoch that this process's next record begins."""
        self._epoch, self._began = secrets.token_hex(16), self.labels.now()

    def _open(self) -> None:
        """Connect, and look at the whole file where it is small enough to be looked at before it is trusted.

        Raises:
            DatabaseDamaged: it is not what was written.
        """
        try:
            self._connect(self.path)
        except DiskFull:
            self._owner.make_room()
            self._connect(self.path)
        if self._owner.checked_whole:
            with translating(self.path):
                finding = look_through(self.connection)
            if finding:
                raise DatabaseDamaged(finding)

    def _connect(self, path: Path) -> None:
        self.connection = open_writer(path, SCHEMA + self._owner.tables)
        self._is_open = True
        with translating(self.path):
            add_checksums(self.connection)
            self._owner.upgrade(self.connection)
            self.sequence = Sequence(self.connection, self._epoch)
            self.sequence.look_sound()
        self._is_behind = False

    def _make_successor(self, finding: str, aside: str, saved: Saved, released: Mapping[str, Released]) -> None:
        """Make the file that takes the damaged one's place, under its temporary name."""
        replace.remove_successor(self.path)
        self._take_epoch()
        self._connect(replace.successor_name(self.path))
        text = f"{self.path.name} was damaged ({finding}); set aside as {aside}; {len(saved.rows)} records saved"
        try:
            with writing(self.connection, self.path):
                replace.take_over(self.sequence, saved)
                self.begin_epoch(text)
                detail: dict[str, Scalar] = {"file": aside, "saved": len(saved.rows)}
                self.insert(self.labels.event("database_set_aside", text, detail))
                for lost in replace.losses(saved, released, self.labels.losses):
                    self.insert(lost)
                self._owner.take_over(self.connection, released)
        finally:
            self.connection.close()

    def _why_begun(self, damage: str) -> tuple[str, str, dict[str, Scalar]]:
        """Return the reason for a new epoch: a word, a sentence, and what else the event's detail says."""
        if damage:
            return "damaged", damage, {}
        torn = self.sequence.meta(TORN) or ""
        more: dict[str, Scalar] = {"in_doubt": int(torn)} if torn else {}
        board, here = self.sequence.meta(SERIAL), self._owner.remembered.get(SERIAL)
        if here is not None and board not in (None, here):
            text = f"the {self.path.stem} came from board {board}, this is {here}: a cloned card?"
            return "another board", text, more
        if torn:
            text = (
                "the newest entry of the journal is broken: a power cut while it was written, or a worn card; up to "
                f"{torn} records behind the last one of the epoch before may be missing"
            )
            return "torn journal", text, more
        return START, f"a new start of {self._owner.program}", more

    def _catch_up(self) -> None:
        if self._is_behind:
            self.reload()
