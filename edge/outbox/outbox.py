"""The device's outbox: what has been appended survives a power cut. Written by one process, read by others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edge.config import tree
from edge.config.state_folder import OUTBOX, capture_folder, delivery_path
from edge.contract.reading import Reading
from edge.contract.record import Event
from edge.errors import DatabaseDamaged, DiskFull, MessageError, OperatorError, StorageError
from edge.outbox.capture_requests import TAKEN, note_taken
from edge.outbox.database import translating, writing
from edge.outbox.full_disk import FullDisk
from edge.outbox.label import Labels
from edge.outbox.lock import WriterLock
from edge.outbox.newest import read_newest
from edge.outbox.record_file import SERIAL, Key, Owner, Record, RecordFile
from edge.outbox.recovery.daily_check import DailyCheck
from edge.outbox.reserve import Reserve
from edge.outbox.retention import HeldPictures, Retention
from edge.outbox.sequence import NEWEST
from edge.outbox.stored_reading import Build, StoredReading, make_stored
from edge.outbox.thumbnails import Thumbnails
from edge.outbox.watermarks import read_check_request, read_released
from edge.timing.clock import Clock, SystemClock

Step = Callable[[str], None]
DEVICE = "device_id"
"""The remembered text: the device that the file was last written for."""


class Outbox:
    """Append, look after space. Each process that opens it writes under an epoch of its own.

    `step` is a hook between any two steps of an append, for kill tests.
    """

    def __init__(
        self, state_dir: Path, settings: tree.Outbox, remembered: Mapping[str, str], clock: Clock, step: Step
    ) -> None:
        """Use `open`."""
        folder = capture_folder(state_dir)
        path, self._delivery, self._settings = folder / OUTBOX, delivery_path(state_dir), settings
        self._clock, self._step = clock, step
        self._thumbnails = Thumbnails(folder, step)
        self._pictures = HeldPictures()
        self._reserve = Reserve(folder, settings.reserve_mb * 1_000_000)
        self._disk = FullDisk(self._reserve, clock)
        self._check, self._is_swept = DailyCheck(path), False
        self._lock = WriterLock(folder / "outbox.lock", str(path))
        released = lambda: read_released(self._delivery)  # noqa: E731
        make_room = self._disk.note
        owner = Owner(program="capture", tables=TAKEN, released=released, remembered=remembered, make_room=make_room)
        try:
            self._file = RecordFile(path, owner, Labels(remembered[DEVICE], clock))
            self._claim(remembered[DEVICE])
        except BaseException:
            self._lock.release()
            raise

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
        return cls(state_dir, settings, {DEVICE: device_id, SERIAL: serial}, clock or SystemClock(), step)

    @property
    def epoch(self) -> str:
        """The epoch of this process, which begins with its first record."""
        return self._file.sequence.epoch

    @property
    def begun(self) -> bool:
        """Whether this process has stored a record."""
        return self._file.sequence.begun

    @property
    def last_seq(self) -> int:
        """The newest record's number, 0 before this process's first one."""
        return self._file.sequence.last_seq

    @property
    def next_seq(self) -> int:
        """The number that the next record will have."""
        return self._file.next_seq

    @property
    def full(self) -> bool:
        """Whether the disk was found full and has not recovered yet."""
        return self._disk.is_full

    @property
    def checking(self) -> bool:
        """Whether the integrity check after the start is still to be finished and looked at by `maintain`."""
        return self._check.is_running

    def append_reading(self, build: Build, before: Sequence[Record] = ()) -> StoredReading:
        """Store the reading that `build` makes for its identity, and its picture; return it as it is stored.

        before: what is stored in front of it, in the same transaction.

        When this returns, a power cut costs nothing. On a full disk the picture goes before the reading, as `lost`.

        Raises:
            DiskFull: not even the reserve leaves room for the reading.
            StorageError: it cannot be stored.
        """
        made: StoredReading | None = None
        try:
            made = self._make(build, before)
            self._insert(made, before)
        except DatabaseDamaged as error:
            self._file.replace_damaged(str(error))
            if made is None or not self._file.holds(*made.key):
                made = self._make(build, before)
                self._insert(made, before)
        return made

    def append_record(self, record: Record) -> Key:
        """Store an event, a loss or a clock correction; return (epoch, seq).

        Raises:
            DiskFull, StorageError: as for `append_reading`.
        """

        def insert() -> Key:
            with self._file.changing():
                return self._file.append(record)

        attempted = self.epoch, self.next_seq
        try:
            return self._disk.with_reserve(insert)
        except DatabaseDamaged as error:
            self._file.replace_damaged(str(error))
            return attempted if self._file.holds(*attempted) else self._disk.with_reserve(insert)

    def newest(self, most: int = NEWEST) -> list[Reading | Event]:
        """Return the newest readings and events that are still held, the newest first; none where they are unreadable.

        The status file is written after a record: a kill between the two must not have a slot taken or reported twice.
        """
        try:
            with translating(self._file.path):
                return read_newest(self._file.connection, most)
        except (StorageError, MessageError):
            return []

    def mark_taken(self, request: str) -> None:
        """Note a request as taken, before it is acted on, so that a crash does not fire it twice."""
        with writing(self._file.connection, self._file.path):
            note_taken(self._file.connection, request, self._clock.now())

    def maintain(self) -> None:
        """Look after space, integrity and epochs; called between captures, never before the first reading."""
        try:
            try:
                with translating(self._file.path):
                    self._maintain()
            finally:  # after a rollback memory may be ahead of the file
                self._file.reload()
        except DatabaseDamaged as error:
            self._file.replace_damaged(str(error))
        except DiskFull:
            self._disk.note()
        except StorageError:  # busy or short of something: the next call tries again
            pass

    def close(self) -> None:
        """Close the file and let the next writer in."""
        self._check.stop()
        self._file.close()
        self._lock.release()

    def _claim(self, device_id: str) -> None:
        """Take a file without an owner, and refuse another device's."""
        file = self._file
        self._disk.recall(file)
        owner = file.sequence.meta(DEVICE)
        if owner is None:
            with file.changing():
                file.sequence.set_meta(DEVICE, device_id)
        elif owner != device_id:
            file.close()
            raise OperatorError(
                f"{file.path}: holds the records of device {owner!r}, but the settings say device_id: "
                f"{device_id}; give each device its own state_dir"
            )

    def _make(self, build: Build, before: Sequence[Record]) -> StoredReading:
        """Return the reading under the identity that it will have, its picture on the disk where there is room."""
        return make_stored(build, self.epoch, self.next_seq + len(before), self._keep_picture, self._step)

    def _insert(self, made: StoredReading, before: Sequence[Record]) -> None:
        """Store the row, what goes before it, and the loss of its picture, in one transaction."""
        file, (epoch, seq) = self._file, made.key

        def insert() -> None:
            with file.changing():
                file.begin_epoch()
                for record in before:
                    file.insert(record)
                file.sequence.insert(made.row)
                self._step("row inserted")
                if made.without_picture:
                    file.insert(file.labels.lost("thumbnail", epoch, seq, seq, "the disk is full"))

        self._disk.with_reserve(insert)
        self._step("committed")

    def _keep_picture(self, sha: str, jpeg: bytes) -> bool:
        """Return whether the picture is on the disk."""
        if not self._disk.has_room_for(jpeg):
            return False
        try:
            self._thumbnails.write(sha, jpeg)
        except DiskFull:
            self._disk.note()
            return False
        return True

    def _maintain(self) -> None:
        file = self._file
        self._disk.report(file)
        if not self._is_swept:
            self._is_swept = True
            self._reserve.take_back()
            named = file.connection.execute("SELECT thumbnail FROM records WHERE thumbnail IS NOT NULL").fetchall()
            self._thumbnails.sweep({sha for (sha,) in named})
        self._check.look(self._clock.monotonic_s(), read_check_request(self._delivery))
        retention = Retention(
            file.path, self._settings, file.sequence, self._clock, self._thumbnails.remove, self._pictures
        )
        for done in retention.tidy(read_released(self._delivery), file.labels.losses, file.append):
            self._step(done)
        self._disk.recover(file)
