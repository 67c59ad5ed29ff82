"""The thumbnails: each a file, and a row that names it, compared with what its reading describes."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.contract.identity import Head
from edge.contract.times import FIRST_S, LAST_S
from station.store.ledger import Ledger
from station.store.message import Arrival, Picture, Unreadable
from station.store.picture import FolderTrouble, is_of_one_folder, is_of_the_machine, is_there, write_picture
from station.store.quarantine import Aside
from station.store.removed import read_path_mark
from station.store.taken import Taken


class Album:
    """Takes pictures into the caller's transaction.

    written: the batch's pictures, relative to the folder; made: those of them whose files are new; unsynced: those
    that are not on the disk yet, which is the caller's to see to before it commits.
    """

    def __init__(self, connection: sqlite3.Connection, data: Path, ledger: Ledger, aside: Aside) -> None:
        """Use the store's parts."""
        self._connection = connection
        self._data = data
        self._ledger = ledger
        self._aside = aside
        self.written: list[Path] = []
        self.made: list[Path] = []
        self.unsynced: list[Path] = []
        self._before = 0
        self._sync_each = True

    def begin_batch(self, *, sync_each: bool = True) -> None:
        """Begin a batch: its pictures are listed anew. sync_each: each is on the disk before the next one is written.

        So that trouble with the disk is known to be that picture's; together they take a tenth of the time.
        """
        self.made, self.written, self.unsynced = [], [], []
        self._sync_each = sync_each

    def begin_message(self) -> None:
        """Remember where the message's own pictures begin."""
        self._before = len(self.made)

    def take_back_message(self) -> list[Path]:
        """Return the files that the message made, which are to be removed, and forget them."""
        own, self.made = self.made[self._before :], self.made[: self._before]
        return own

    def take(self, arrival: Arrival, picture: Picture, taken: Taken) -> None:
        """Keep a picture, or set it aside where it is not the one of its number."""
        key = (arrival.device, picture.epoch, picture.seq)
        taken.devices.add(arrival.device)
        self._ledger.touch(arrival.device, picture.epoch, arrival.received_at).thumbnails.add(picture.seq)
        stored = self._one("SELECT sha256, path, bytes FROM thumbnails", *key)
        if stored is not None and stored[0] == picture.sha256:
            if read_path_mark(stored[1]) is not None or is_there(self._data / stored[1], stored[2]):
                taken.known += 1  # also where retention removed it: it is not to come back
            else:  # deleted, or cut off: sent again it is there again
                self._forget(key)
                self._keep_picture(arrival, picture, picture.captured_at or datetime.fromtimestamp(0, UTC))
                taken.stored += 1
            return
        reading = self._one("SELECT captured_s, thumbnail_sha256 FROM readings", *key)
        if reading is not None and reading[1] != picture.sha256:
            self._mismatch(arrival, picture.epoch, picture.seq, picture.sha256, picture.jpeg, reading[1], taken)
        elif stored is not None:
            taken.conflicts += 1
            taken.alarms += self._aside.keep_conflict(
                arrival, picture.epoch, picture.seq, "thumbnail", picture.sha256, picture.jpeg
            )
        else:
            taken_at = _time_of(reading[0]) if reading is not None else picture.captured_at
            self._keep_picture(arrival, picture, taken_at or datetime.fromtimestamp(arrival.received_at, UTC))
            taken.stored += 1

    def _keep_picture(self, arrival: Arrival, picture: Picture, taken_at: datetime) -> None:
        place = Path("thumbnails", arrival.device, f"{taken_at:%Y-%m}", f"{picture.epoch[:8]}-{picture.seq}.jpg")
        try:
            path, new = write_picture(self._data, place, picture.jpeg, sync=self._sync_each)
        except OSError as error:
            if not is_of_one_folder(self._data, error):
                raise
            folder = self._data / "thumbnails" / arrival.device
            what = f"{folder}: its pictures cannot be stored: {error}; correct the folder, its owner and its rights"
            raise FolderTrouble(arrival.device, what) from error
        self.written.append(path)
        if not self._sync_each:
            self.unsynced.append(path)
        if new:
            self.made.append(path)
        self._connection.execute(
            "INSERT INTO thumbnails VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                arrival.device,
                picture.epoch,
                picture.seq,
                path.as_posix(),
                picture.sha256,
                len(picture.jpeg),
                arrival.received_at,
            ),
        )

    def check_earlier(self, arrival: Arrival, head: Head, expected: str, taken: Taken) -> None:
        """Set aside a picture that came before its reading and is not the one that the reading describes.

        Neither a file that is gone or unreadable nor a folder that cannot be written holds up the reading.
        """
        key = (arrival.device, head.epoch, head.seq)
        earlier = self._one("SELECT path, sha256 FROM thumbnails", *key)
        if earlier is None or earlier[1] == expected:
            return
        try:
            jpeg = (self._data / earlier[0]).read_bytes()
        except OSError as error:
            if is_of_the_machine(error):
                raise
            jpeg = b""
        self._forget(key)
        self._mismatch(arrival, head.epoch, head.seq, earlier[1], jpeg, expected, taken)
        right = self._aside.find_conflict(*key, "thumbnail", expected)
        if right is None:
            return
        try:
            picture = Picture(head.epoch, head.seq, expected, right, None)
            self._keep_picture(arrival, picture, datetime.fromtimestamp(arrival.received_at, UTC))
        except FolderTrouble as trouble:
            taken.alarms.append(f"PICTURES {arrival.device}: {trouble.what}; it stays in the table conflicts")
            return
        self._aside.release_conflict(*key, "thumbnail", expected, len(right))

    def _forget(self, key: tuple[str, str, int]) -> None:
        """Strike a picture's row; one that is replaced would be counted twice."""
        self._connection.execute("DELETE FROM thumbnails WHERE device = ? AND epoch = ? AND seq = ?", key)

    def _mismatch(
        self, arrival: Arrival, epoch: str, seq: int, digest: str, jpeg: bytes, expected: str | None, taken: Taken
    ) -> None:
        reason = f"expected the thumbnail {expected} that the reading describes, got {digest}"
        found = Unreadable(reason, Head(epoch, seq, 0, False), digest, jpeg, whole=True)
        message = Arrival(arrival.device, "thumbnail", jpeg, arrival.received_at)
        taken.quarantined += 1
        taken.alarms += self._aside.keep_unreadable(message, found)
        self._ledger.touch(arrival.device, epoch, arrival.received_at).thumbnails.add(seq)

    def _one(self, select: str, device: str, epoch: str, seq: int) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(
            f"{select} WHERE device = ? AND epoch = ? AND seq = ?", (device, epoch, seq)
        ).fetchone()
        return found


def _time_of(seconds: object) -> datetime | None:
    """Return the time of a stored row, None where an earlier version stored one that no reading has."""
    sound = isinstance(seconds, (int, float)) and FIRST_S <= seconds <= LAST_S
    return datetime.fromtimestamp(seconds, UTC) if sound else None  # type: ignore[arg-type]
