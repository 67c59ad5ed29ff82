"""Whether the disk is full: the reserve is given up for what comes first, and the state is recorded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from edge.contract.record import EventCode
from edge.errors import DiskFull
from edge.outbox.database import free_bytes
from edge.outbox.record_file import RecordFile
from edge.outbox.reserve import MARGIN_BYTES, Reserve
from edge.timing.clock import Clock

T = TypeVar("T")
_REMEMBERED = "full"
"""The remembered text: since when the disk is full, "" while it is not. Written with the event that says so."""


class FullDisk:
    """The state of the disk as the outbox has met it, over restarts."""

    def __init__(self, reserve: Reserve, clock: Clock) -> None:
        """The disk has space until a write fails."""
        self._reserve, self._clock = reserve, clock
        self._is_full = self._is_unreported = False

    @property
    def is_full(self) -> bool:
        """Whether the disk was found full and has not recovered yet."""
        return self._is_full

    def recall(self, file: RecordFile) -> None:
        """Go on from what the process before had recorded."""
        if file.sequence.meta(_REMEMBERED):
            self._is_full, self._is_unreported = True, False

    def note(self) -> None:
        """Give the reserve up; the event waits until what is being appended is in."""
        self._reserve.give_up()
        self._is_unreported = self._is_unreported or not self._is_full
        self._is_full = True

    def with_reserve(self, insert: Callable[[], T]) -> T:
        """Return what `insert` returns; the first time the disk is full, the reserve is given up for it.

        Raises:
            DiskFull: the reserve is too little.
        """
        try:
            return insert()
        except DiskFull:
            self.note()
        return insert()

    def has_room_for(self, picture: bytes) -> bool:
        """Return whether a picture may be written: while the disk is full the reserve is kept for readings."""
        return not self._is_full or free_bytes(self._reserve.folder) >= self._reserve.size_bytes + len(picture)

    def report(self, file: RecordFile) -> None:
        """Append the event once for each time that the disk fills up."""
        if self._is_unreported and file.sequence.begun:
            text = "no space left: pictures are dropped first; free space or lower outbox.max_mb"
            self._append(file, "disk_full", text, "since " + self._clock.now().isoformat())
            self._is_unreported = False

    def recover(self, file: RecordFile) -> None:
        """Take the reserve back where there is room again, and append the event of it."""
        roomy = self._reserve.take_back() and free_bytes(self._reserve.folder) >= MARGIN_BYTES
        if roomy and self._is_full and not self._is_unreported and file.sequence.begun:
            self._append(file, "disk_recovered", "there is space again; pictures are kept again", "")
            self._is_full = False

    def _append(self, file: RecordFile, code: EventCode, text: str, remembered: str) -> None:
        def insert() -> None:
            with file.changing():
                file.insert(file.labels.event(code, text, {}))
                file.sequence.set_meta(_REMEMBERED, remembered)

        self.with_reserve(insert)
