"""`delivery.db`: what publish remembers: watermarks, quarantine, requests for capture, its own sequence of events."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.config import tree
from edge.config.state_folder import delivery_path
from edge.contract.base import Scalar
from edge.contract.record import EventCode
from edge.errors import DatabaseDamaged, StorageError
from edge.outbox.database import translating
from edge.outbox.label import Labels
from edge.outbox.lock import WriterLock
from edge.outbox.record_file import Key, Owner, RecordFile
from edge.outbox.retention import Retention
from edge.outbox.watermarks import (
    COMMITTED,
    WATERMARKS,
    Released,
    add_watermark_checksums,
    encode_watermarks,
    new_number,
    read_released,
    replace_watermarks,
    rises,
    write_risen,
)
from edge.timing.clock import Clock, SystemClock

COMMIT_EVERY_S = 6 * 3600.0
"""What lies in the slots alone costs a resend where both are lost: at most so much of it."""
MAX_MB, MAX_QUARANTINED = 8, 10_000
"""The file's ceiling: about 8,000 events. How many lost thumbnails are remembered (table quarantine)."""
_TABLES = """
CREATE TABLE IF NOT EXISTS requests(
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine(
    epoch TEXT NOT NULL, seq INTEGER NOT NULL, stream TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY(epoch, seq, stream)) WITHOUT ROWID;
"""

_SUSPECTS = """
CREATE TABLE IF NOT EXISTS doubts(
    epoch TEXT NOT NULL, seq INTEGER NOT NULL, stream TEXT NOT NULL, strikes INTEGER NOT NULL,
    PRIMARY KEY(epoch, seq, stream)) WITHOUT ROWID;
"""
"""What was in flight when a connection ended, and how often it was so alone: a restart must not forget it."""

Suspects = dict[tuple[str, int, str], int]


def _take_over(connection: sqlite3.Connection, released: Mapping[str, Released]) -> None:
    """Keep the watermarks of a damaged file, which have checksums; the rest is asked for or found again."""
    replace_watermarks(connection, encode_watermarks(released))


class PublishFile:
    """Publish's file; capture only reads it. What it loses in a power cut is sent or asked for again."""

    def __init__(self, state_dir: Path, device_id: str, clock: Clock) -> None:
        """Use `open`."""
        self._path, self._clock = delivery_path(state_dir), clock
        self._labels = Labels(device_id, clock)
        self._committed_at_s: float | None = None
        self._is_ahead = False
        self._lock = WriterLock(self._path.with_name("delivery.lock"), str(self._path))
        owner = Owner(
            program="publish",
            tables=WATERMARKS + _TABLES + _SUSPECTS,
            released=self.released,
            checked_whole=True,
            upgrade=add_watermark_checksums,
            take_over=_take_over,
        )
        try:
            self._file = RecordFile(self._path, owner, self._labels)
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def open(cls, state_dir: Path, *, device_id: str, clock: Clock | None = None) -> PublishFile:
        """Return the file of a state directory, its only writer until `close`.

        Raises:
            OperatorError: another publish process runs.
            StorageError: it cannot be opened or made.
        """
        return cls(state_dir, device_id, clock or SystemClock())

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    @property
    def station_db(self) -> str | None:
        """The station's database that the watermarks are of."""
        return self._file.sequence.meta("station_db")

    def released(self) -> dict[str, Released]:
        """Return what was released when last written."""
        return read_released(self._path)

    def set_released(self, released: Mapping[str, Released], station_db: str) -> None:
        """Store the watermarks in place of the former ones; what has not changed is not written again.

        Those that only rose are written unsynced, but for once in `COMMIT_EVERY_S`: losing them costs a resend.
        """
        now_s, before = self._clock.monotonic_s(), self.released()
        gone = [key for key in self._restored() if key[9:] not in released]
        rose = self.station_db == station_db and not gone and rises(released, before)
        if rose and released == before:
            return
        if rose and self._committed_at_s is not None and now_s - self._committed_at_s < COMMIT_EVERY_S:
            committed = self._file.sequence.meta(COMMITTED) or ""
            if write_risen(self._path, committed, released):
                self._is_ahead = True
                return
        self._commit(released, station_db, gone)
        self._committed_at_s, self._is_ahead = now_s, False

    def _commit(self, released: Mapping[str, Released], station_db: str, gone: list[str]) -> None:
        with self._file.changing():
            if self.station_db != station_db:
                self._file.sequence.set_meta("station_db", station_db)
            self._file.sequence.set_meta(COMMITTED, new_number())
            replace_watermarks(self._file.connection, encode_watermarks(released))
            self._file.connection.executemany("DELETE FROM meta WHERE key = ?", [(key,) for key in gone])

    def _restored(self) -> list[str]:
        return [
            key
            for (key,) in self._file.connection.execute("SELECT key FROM meta WHERE key LIKE 'restored %'").fetchall()
        ]

    def request_check(self, key: Key) -> None:
        """Ask capture to check its file: a record is not what was written, or not where it should be."""
        with self._file.changing():
            self._file.sequence.set_meta("outbox_doubt", f"{key[0]} {key[1]} {self._clock.now().isoformat()}")

    def note_restored(self, epoch: str, last: int, station_has: int) -> None:
        """Append the event, once for each epoch, that a station holds more of it than this card ever had."""
        key = f"restored {epoch}"
        if self._file.sequence.meta(key) is not None:
            return
        text = (
            f"a station holds records of epoch {epoch[:8]} up to {station_has}, this card {last}: a copied card, or an "
            "older copy put back?"
        )
        with self._file.changing():
            self._file.sequence.set_meta(key, str(station_has))
            self._file.append(
                self._labels.event("restored_card", text, {"epoch": epoch, "last": last, "station": station_has})
            )

    def add_request(self, request: str) -> None:
        """Leave a request for capture; the same id twice is one request."""
        now = datetime.now(UTC)
        with self._file.changing():
            self._file.connection.execute(
                "INSERT OR IGNORE INTO requests(id, received_at) VALUES (?, ?)", (request, now.isoformat())
            )
            self._file.connection.execute(
                "DELETE FROM requests WHERE number <= (SELECT max(number) - 100 FROM requests)"
            )

    def remove_request(self, request: str) -> None:
        """Forget a request whose reading has come."""
        with self._file.changing():
            self._file.connection.execute("DELETE FROM requests WHERE id = ?", (request,))

    def requests(self) -> set[str]:
        """Return the open requests."""
        return {request for (request,) in self._file.connection.execute("SELECT id FROM requests").fetchall()}

    def report_refused(self, key: Key, stream: str, reason: str) -> None:
        """Append the event, at most once a day and stream, that a broker refuses a record while it takes others."""
        epoch, seq = key
        today = self._clock.now().astimezone(UTC).date().isoformat()
        if self._file.sequence.meta(f"refused {stream}") == today:
            return
        text = (
            f"{stream} {seq} of epoch {epoch[:8]} is kept here and tried again: {reason}, while it takes others. "
            "There may be more of them: see the device's health"
        )
        with self._file.changing():
            self._file.sequence.set_meta(f"refused {stream}", today)
            detail: dict[str, Scalar] = {"epoch": epoch, "seq": seq, "stream": stream}
            self._file.append(self._labels.event("record_quarantined", text, detail))

    def lose_thumbnail(self, key: Key, reason: str) -> None:
        """Append the loss of a thumbnail that can never be sent, and remember that it was named."""
        epoch, seq = key
        with self._file.changing():
            self._file.connection.execute(
                "INSERT OR IGNORE INTO quarantine VALUES (?, ?, 'thumbnail', ?, ?)",
                (epoch, seq, reason, datetime.now(UTC).isoformat()),
            )
            self._file.append(self._labels.lost("thumbnail", epoch, seq, seq, reason))

    def lost_thumbnails(self) -> set[Key]:
        """Return epoch and number of the thumbnails that were named as lost."""
        query = "SELECT epoch, seq FROM quarantine WHERE stream = 'thumbnail' AND reason LIKE 'its file%'"
        return set(self._file.connection.execute(query).fetchall())

    def suspects(self) -> Suspects:
        """Return how often each record (epoch, seq, stream) that is under suspicion was refused."""
        found = self._file.connection.execute("SELECT epoch, seq, stream, strikes FROM doubts").fetchall()
        return {(epoch, seq, stream): strikes for epoch, seq, stream, strikes in found}

    def set_suspects(self, suspects: Suspects) -> None:
        """Store the suspicions in place of the former ones."""
        with self._file.changing():
            self._file.connection.execute("DELETE FROM doubts")
            rows = [(*key, strikes) for key, strikes in suspects.items()]
            self._file.connection.executemany("INSERT INTO doubts VALUES (?, ?, ?, ?)", rows)

    def event(self, code: EventCode, text: str, **detail: Scalar) -> None:
        """Append an event of publish's own."""
        with self._file.changing():
            self._file.append(self._labels.event(code, text, detail))

    def close(self) -> None:
        """Close the file, with the watermarks in it, and let the next writer in."""
        if self._is_ahead:
            with suppress(StorageError):  # what cannot be committed is in the slots
                self._commit(self.released(), self.station_db or "", [])
        self._file.close()
        self._lock.release()

    def tidy(self, settings: tree.Outbox) -> None:
        """Drop own events that the station has and that are older than the ring; above the ceiling, the oldest of all.

        What nobody else holds goes only for the ceiling, and is named in a `lost` record. A damaged file is replaced.

        Raises:
            StorageError: the file cannot be changed.
        """
        try:
            self._tidy(settings)
        except DatabaseDamaged as error:
            self._file.replace_damaged(str(error))

    def _tidy(self, settings: tree.Outbox) -> None:
        bounded = msgspec.structs.replace(settings, max_mb=MAX_MB, min_free_mb=0)
        retention = Retention(self._path, bounded, self._file.sequence, self._clock, lambda _sha: None)
        try:
            with translating(self._path):
                for _done in retention.tidy(self.released(), self._labels.losses, self._file.append):
                    pass
            with self._file.changing():
                old = f"SELECT epoch, seq, stream FROM quarantine ORDER BY at DESC LIMIT -1 OFFSET {MAX_QUARANTINED}"
                self._file.connection.execute(f"DELETE FROM quarantine WHERE (epoch, seq, stream) IN ({old})")
        finally:  # after a rollback memory may be ahead of the file
            self._file.reload()
