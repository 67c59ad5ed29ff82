"""The device's outbox: what has been appended survives a power cut. Written by one process, read by others."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from collections.abc import Sequence as Several
from pathlib import Path
from typing import TypeVar

from edge.config import tree
from edge.config.state_folder import OUTBOX, capture_folder, delivery_path
from edge.contract import jsontext
from edge.contract.base import Scalar
from edge.contract.reading import SCHEMA as READING_SCHEMA
from edge.contract.reading import Reading
from edge.contract.record import EVENT_SCHEMA, ClockCorrection, Event, EventCode, Lost, LostRanges
from edge.errors import DatabaseDamaged, DiskFull, MessageError, OperatorError, StorageError
from edge.outbox.database import close_writer, free_bytes, open_writer, reading, writing
from edge.outbox.label import Labels
from edge.outbox.lock import WriterLock
from edge.outbox.recovery import integrity as damage
from edge.outbox.recovery import replace
from edge.outbox.recovery.wal import look_at_journal
from edge.outbox.reserve import MARGIN_BYTES, Reserve
from edge.outbox.retention import Retention
from edge.outbox.sequence import NEWEST, SCHEMA, START, Sequence, new_row, seal_old_rows
from edge.outbox.thumbnails import Thumbnails
from edge.outbox.watermarks import Released, read_doubt, read_released
from edge.timing.clock import Clock, SystemClock

Build = Callable[[str, int], tuple[Reading, bytes | None]]
Step = Callable[[str], None]
T = TypeVar("T")
Record = Event | Lost | LostRanges | ClockCorrection
CHECK_EVERY_S = 86_400.0
_TAKEN = "CREATE TABLE IF NOT EXISTS taken(request TEXT PRIMARY KEY, taken_at TEXT NOT NULL) WITHOUT ROWID;"


class Outbox:
    """Append, look after space. Each process that opens it writes under an epoch of its own.

    `step` is a hook between any two steps of an append, for kill tests.
    """

    def __init__(self, state_dir: Path, settings: tree.Outbox, device_id: str, clock: Clock, step: Step) -> None:
        """Use `open`."""
        self._state_dir, self._settings, self._device_id, self._clock = state_dir, settings, device_id, clock
        self._folder = capture_folder(state_dir)
        self._path, self._step = self._folder / OUTBOX, step
        self._labels = Labels(device_id, clock)
        self._began = self._labels.now()
        self._thumbnails = Thumbnails(self._folder, step)
        self._reserve = Reserve(self._folder, settings.reserve_mb * 1_000_000)
        self._lock = WriterLock(self._folder / "outbox.lock", str(self._path))
        self._check: damage.Check | None = None
        self._doubt, self._check_at_s = "", float("-inf")
        self._swept = self._full = self._untold = False
        self._epoch, self._damage, self._serial = secrets.token_hex(16), "", ""

    @classmethod
    def open(
        cls,
        state_dir: Path,
        settings: tree.Outbox,
        *,
        device_id: str,
        serial: str,
        clock: Clock | None = None,
        step: Step = lambda _name: None,
    ) -> Outbox:
        """Return the outbox of a state directory, its only writer until `close`.

        Raises:
            OperatorError: another process writes it, or the file belongs to another device's name.
            StorageError: it cannot be opened or made.
        """
        outbox = cls(state_dir, settings, device_id, clock or SystemClock(), step)
        try:
            outbox._begin(serial)
        except BaseException:
            outbox._lock.release()
            raise
        return outbox

    @property
    def epoch(self) -> str:
        """The epoch of this process, which begins with its first record."""
        return self._sequence.epoch

    @property
    def begun(self) -> bool:
        """Whether this process has stored a record."""
        return self._sequence.begun

    @property
    def last_seq(self) -> int:
        """The newest record's number, 0 before this process's first one."""
        return self._sequence.last_seq

    @property
    def full(self) -> bool:
        """Whether the disk was found full and has not recovered yet."""
        return self._full

    @property
    def checking(self) -> bool:
        """Whether the integrity check after the start is still to be finished and looked at by `maintain`."""
        return self._check is not None

    def append_reading(self, build: Build, before: Several[Record] = ()) -> tuple[str, int]:
        """Store the reading that `build` makes for its identity, and its picture; return (epoch, seq).

        before: what is stored in front of it, in the same transaction.

        When this returns, a power cut costs nothing. On a full disk the picture goes before the reading, as `lost`.

        Raises:
            DiskFull: not even the reserve leaves room for the reading.
            StorageError: it cannot be stored.
        """
        attempted = self._sequence.epoch, self._next_seq() + len(before)
        try:
            return self._append_reading(build, before)
        except DatabaseDamaged as error:
            self._replace_damaged(str(error))
            return attempted if self._is_held(*attempted) else self._append_reading(build, before)

    def append_record(self, record: Record) -> tuple[str, int]:
        """Store an event, a loss or a clock correction; return (epoch, seq).

        Raises:
            DiskFull, StorageError: as for `append_reading`.
        """

        def insert() -> tuple[str, int]:
            with writing(self._connection, self._path):
                self._begin_epoch()
                return self._insert_record(record)

        attempted = self._sequence.epoch, self._next_seq()
        try:
            return self._with_reserve(insert)
        except DatabaseDamaged as error:
            self._replace_damaged(str(error))
            return attempted if self._is_held(*attempted) else self._with_reserve(insert)

    def newest(self, most: int = NEWEST) -> list[Reading | Event]:
        """Return the newest readings and events that are still held, the newest first; none where they are unreadable.

        The status file is written after a record: a kill between the two must not have a slot taken or told twice.
        """
        query = "SELECT schema, body FROM records ORDER BY id DESC LIMIT ?"
        kinds: dict[str, type[Reading | Event]] = {READING_SCHEMA: Reading, EVENT_SCHEMA: Event}
        try:
            with reading(self._path):
                rows = self._connection.execute(query, (most,)).fetchall()
            return [jsontext.decode(body, kinds[schema]) for schema, body in rows if schema in kinds]
        except (StorageError, MessageError):
            return []

    def mark_taken(self, request: str) -> None:
        """Note a request as taken, before it is acted on, so that a crash does not fire it twice."""
        with writing(self._connection, self._path):
            self._connection.execute(
                "INSERT OR IGNORE INTO taken VALUES (?, ?)", (request, self._clock.now().isoformat())
            )
            oldest = "SELECT request FROM taken ORDER BY taken_at DESC LIMIT -1 OFFSET 1000"
            self._connection.execute(f"DELETE FROM taken WHERE request IN ({oldest})")

    def maintain(self) -> None:
        """Look after space, integrity and epochs; called between captures, never before the first reading."""
        try:
            try:
                with reading(self._path):
                    self._maintain()
            finally:  # after a rollback memory may be ahead of the file
                self._reload()
        except DatabaseDamaged as error:
            self._replace_damaged(str(error))
        except DiskFull:
            self._note_full()
        except StorageError:  # busy or short of something: the next call tries again
            pass

    def _maintain(self) -> None:
        self._tell_full()
        self._look_at_health()
        released = read_released(delivery_path(self._state_dir))
        for done in self._retention.tidy(released, self._labels.losses, self._insert_first):
            self._step(done)
        roomy = self._reserve.take_back() and free_bytes(self._state_dir) >= MARGIN_BYTES
        if roomy and self._full and not self._untold and self._sequence.begun:
            self._tell("disk_recovered", "there is space again; pictures are kept again", full="")
            self._full = False

    def close(self) -> None:
        """Close the file and let the next writer in."""
        if self._check is not None:
            self._check.stop()
        close_writer(self._connection, self._path)
        self._lock.release()

    def _begin(self, serial: str) -> None:
        """Open the file, or replace a damaged one."""
        self._serial = serial
        replace.finish_replacement(self._path)
        replace.remove_successor(self._path)
        journal = look_at_journal(self._path)
        try:
            if journal.damaged:
                raise DatabaseDamaged("its journal is broken in the middle")
            try:
                self._connect()
            except DiskFull:
                self._note_full()
                self._connect()
            owner = self._remembered()
        except DatabaseDamaged as error:
            self._replace_damaged(str(error))
            return
        if owner is not None and owner != self._device_id:
            raise OperatorError(
                f"{self._path}: holds the records of device {owner!r}, but the settings say device_id: "
                f"{self._device_id}; give each device its own state_dir"
            )
        if owner is None:
            with writing(self._connection, self._path):
                self._sequence.set_meta("device_id", self._device_id)
        if journal.torn:
            # After a power cut nothing is missing; after a flipped bit the newest record is. The next epoch says so.
            with writing(self._connection, self._path):
                self._sequence.set_meta("torn", str(journal.in_doubt))

    def _connect(self, path: Path | None = None) -> None:
        self._connection = open_writer(path or self._path, SCHEMA + _TAKEN)
        with reading(self._path):
            seal_old_rows(self._connection)
            self._sequence = Sequence(self._connection, self._epoch)
            self._sequence.look_sound()
        self._retention = Retention(self._path, self._settings, self._sequence, self._clock, self._thumbnails.remove)

    def _remembered(self) -> str | None:
        """Return the device's name that the file was last written for."""
        with reading(self._path):
            if self._sequence.meta("full"):
                self._full, self._untold = True, False
            return self._sequence.meta("device_id")

    def _begin_epoch(self) -> None:
        """Begin this process's epoch within the caller's transaction, where it has not begun.

        Its first record names the epoch before, that one's last number and the start counter, so that a station sees
        what it lacks at an epoch's end. The very first epoch of a file has nothing to name.
        """
        sequence = self._sequence
        if sequence.begun:
            return
        (before, last), (reason, text, more) = sequence.before, self._why_begun()
        starts = sequence.begin_epoch(reason)
        sequence.set_meta("device_id", self._device_id)
        sequence.set_meta("serial", self._serial)
        sequence.set_meta("torn", "")
        if before:
            detail: dict[str, Scalar] = {"reason": reason, "before": before, "last": last, "starts": starts}
            # Of the start, which is when the epoch begins: what waited with it for the first reading is younger.
            self._insert_record(self._labels.event("epoch_begun", text, detail | more, self._began))

    def _why_begun(self) -> tuple[str, str, dict[str, Scalar]]:
        """Return the reason for a new epoch: a word, a sentence, and what else the event's detail says."""
        board, torn = self._sequence.meta("serial"), self._sequence.meta("torn") or ""
        if self._damage:
            return "damaged", self._damage, {}
        more: dict[str, Scalar] = {"in_doubt": int(torn)} if torn else {}
        if board is not None and board != self._serial:
            text = f"the outbox came from board {board}, this is {self._serial}: a cloned card?"
            return "another board", text, more
        if torn:
            text = (
                "the newest entry of the journal is broken: a power cut while it was written, or a worn card; up to "
                f"{torn} records behind the last one of the epoch before may be missing"
            )
            return "torn journal", text, more
        return START, "a new start of capture", more

    def _next_seq(self) -> int:
        """Return the next record's number: the first of an epoch that has one before is the epoch's own beginning."""
        beginning = not self._sequence.begun and self._sequence.before[0] != ""
        return self._sequence.last_seq + 1 + beginning

    def _append_reading(self, build: Build, before: Several[Record]) -> tuple[str, int]:
        epoch, seq = self._sequence.epoch, self._next_seq() + len(before)
        reading, jpeg = build(epoch, seq)
        sha = hashlib.sha256(jpeg).hexdigest() if jpeg is not None else ""
        if jpeg is not None and (reading.thumbnail is None or reading.thumbnail.sha256 != sha):
            raise StorageError("expected a reading whose thumbnail describes the picture's bytes, got another sha256")
        self._step("built")
        kept = jpeg if jpeg is not None and self._keep_picture(sha, jpeg) else None
        body = jsontext.encode(reading)
        row = new_row(epoch, seq, "reading", reading.schema, reading.captured_at, body, kept, sha)

        def insert() -> None:
            with writing(self._connection, self._path):
                self._begin_epoch()
                for record in before:
                    self._insert_record(record)
                self._sequence.insert(row)
                self._step("row inserted")
                if jpeg is not None and kept is None:
                    self._insert_record(self._labels.lost("thumbnail", epoch, seq, seq, "the disk is full"))

        self._with_reserve(insert)
        self._step("committed")
        return epoch, seq

    def _keep_picture(self, sha: str, jpeg: bytes) -> bool:
        """Return whether the picture is on the disk; while the disk is full the reserve is kept for readings."""
        if self._full and free_bytes(self._state_dir) < self._settings.reserve_mb * 1_000_000 + len(jpeg):
            return False
        try:
            self._thumbnails.write(sha, jpeg)
        except DiskFull:
            self._note_full()
            return False
        return True

    def _with_reserve(self, insert: Callable[[], T]) -> T:
        """Return what `insert` returns; the first time the disk is full, the reserve is given up for it."""
        try:
            return insert()
        except DiskFull:
            self._note_full()
            self._reload()
        except BaseException:  # after a rollback memory may be ahead of the file
            self._reload()
            raise
        try:
            return insert()
        except BaseException:
            self._reload()
            raise

    def _is_held(self, epoch: str, seq: int) -> bool:
        """Return whether a record is there: the damage may have shown only after its commit, and then it was saved."""
        with reading(self._path):
            found = self._connection.execute("SELECT 1 FROM records WHERE epoch = ? AND seq = ?", (epoch, seq))
            return found.fetchone() is not None

    def _reload(self) -> None:
        with reading(self._path):
            self._sequence.reload()

    def _note_full(self) -> None:
        """Give the reserve up; the event waits until what is being appended is in."""
        self._reserve.give_up()
        self._untold = self._untold or not self._full
        self._full = True

    def _tell_full(self) -> None:
        """Append the event once for each time that the disk fills up."""
        if self._untold and self._sequence.begun:
            text = "no space left: pictures are dropped first; free space or lower outbox.max_mb"
            self._tell("disk_full", text, full="since " + self._clock.now().isoformat())
            self._untold = False

    def _tell(self, code: EventCode, text: str, *, full: str) -> None:
        """Append an event and remember with it, over restarts, whether the disk is full."""

        def insert() -> None:
            with writing(self._connection, self._path):
                self._insert_record(self._labels.event(code, text, {}))
                self._sequence.set_meta("full", full)

        self._with_reserve(insert)

    def _look_at_health(self) -> None:
        """Once after the start: take the reserve, sweep orphans. Then, daily, and when publish met a row that is not
        what was written: check the file beside the captures."""
        asked = read_doubt(delivery_path(self._state_dir))
        now_s = self._clock.monotonic_s()
        if not self._swept:
            self._swept = True
            self._reserve.take_back()
            named = self._connection.execute("SELECT thumbnail FROM records WHERE thumbnail IS NOT NULL").fetchall()
            self._thumbnails.sweep({sha for (sha,) in named})
            self._doubt, self._check_at_s = "", now_s
        if self._check is None and (now_s >= self._check_at_s or asked != self._doubt):
            self._doubt, self._check_at_s = asked, now_s + CHECK_EVERY_S
            self._check = damage.Check(self._path)
        if self._check is not None and self._check.finished():
            finding = self._check.finding()
            self._check = None
            if finding:
                raise DatabaseDamaged(finding)

    def _replace_damaged(self, finding: str) -> None:
        """Set the file aside and go on in a new epoch with what could be saved of it."""
        if hasattr(self, "_connection"):
            self._connection.close()
        released = read_released(delivery_path(self._state_dir))

        def make(aside: str, saved: damage.Saved) -> None:
            self._make_successor(finding, aside, saved, released)

        replace.replace_damaged(self._path, released, make, self._note_full)
        self._connect()

    def _make_successor(self, finding: str, aside: str, saved: damage.Saved, released: dict[str, Released]) -> None:
        replace.remove_successor(self._path)
        self._epoch, self._began = secrets.token_hex(16), self._labels.now()
        self._connect(replace.successor_name(self._path))
        self._damage = text = (
            f"{self._path.name} was damaged ({finding}); set aside as {aside}; {len(saved.rows)} records saved"
        )
        try:
            with writing(self._connection, self._path):
                replace.take_over(self._sequence, saved)
                self._begin_epoch()
                detail: dict[str, Scalar] = {"file": aside, "saved": len(saved.rows)}
                self._insert_record(self._labels.event("database_set_aside", text, detail))
                for lost in replace.losses(saved, released, self._labels.losses):
                    self._insert_record(lost)
        finally:
            self._damage = ""
            self._connection.close()

    def _insert_first(self, record: Record) -> tuple[str, int]:
        """Insert within the caller's transaction, perhaps as this process's first record."""
        self._begin_epoch()
        return self._insert_record(record)

    def _insert_record(self, record: Record) -> tuple[str, int]:
        """Insert within the caller's transaction."""
        epoch, seq = self._sequence.epoch, self._sequence.last_seq + 1
        body = jsontext.encode(record)
        self._sequence.insert(new_row(epoch, seq, "record", record.schema, record.recorded_at, body, None, ""))
        return epoch, seq
