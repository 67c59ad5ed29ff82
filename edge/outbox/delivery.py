"""`delivery.db`: what publish remembers: watermarks, quarantine, requests for capture, its own sequence of events."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.config import tree
from edge.config.state_folder import DELIVERY, delivery_path
from edge.contract import jsontext
from edge.contract.base import Scalar
from edge.contract.record import Event, EventCode, Lost, LostRanges
from edge.errors import DatabaseDamaged, StorageError
from edge.outbox.database import close_writer, open_writer, reading, writing
from edge.outbox.label import Labels
from edge.outbox.lock import WriterLock
from edge.outbox.recovery import integrity as damage
from edge.outbox.recovery import replace
from edge.outbox.recovery.wal import look_at_journal
from edge.outbox.retention import Retention
from edge.outbox.sequence import SCHEMA, START, Sequence, new_row, seal_old_rows
from edge.outbox.watermarks import (
    WATERMARKS,
    Released,
    encode_watermarks,
    read_released,
    replace_watermarks,
    seal_old_watermarks,
)
from edge.timing.clock import Clock, SystemClock

MAX_MB, MAX_QUARANTINED = 8, 10_000
"""The file's ceiling: about 8,000 events. How many lost thumbnails are remembered (table quarantine)."""
_TABLES = """
CREATE TABLE IF NOT EXISTS requests(
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine(
    epoch TEXT NOT NULL, seq INTEGER NOT NULL, stream TEXT NOT NULL, reason TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY(epoch, seq, stream)) WITHOUT ROWID;
"""

_DOUBTS = """
CREATE TABLE IF NOT EXISTS doubts(
    epoch TEXT NOT NULL, seq INTEGER NOT NULL, stream TEXT NOT NULL, strikes INTEGER NOT NULL,
    PRIMARY KEY(epoch, seq, stream)) WITHOUT ROWID;
"""
"""What was in flight when a connection ended, and how often it was so alone: a restart must not forget it."""

Key = tuple[str, int]
Doubts = dict[tuple[str, int, str], int]


class Delivery:
    """Publish's file; capture only reads it. What it loses in a power cut is sent or asked for again."""

    def __init__(self, state_dir: Path, device_id: str, clock: Clock) -> None:
        """Use `open`."""
        self._path, self._clock = delivery_path(state_dir), clock
        self._labels = Labels(device_id, clock)
        self._epoch, self._began = secrets.token_hex(16), self._labels.now()
        self._lock = WriterLock(self._path.with_name("delivery.lock"), str(self._path))

    @classmethod
    def open(cls, state_dir: Path, *, device_id: str, clock: Clock | None = None) -> Delivery:
        """Return the file of a state directory, its only writer until `close`.

        Raises:
            OperatorError: another publish process runs.
            StorageError: it cannot be opened or made.
        """
        delivery = cls(state_dir, device_id, clock or SystemClock())
        try:
            delivery._begin()
        except BaseException:
            delivery._lock.release()
            raise
        return delivery

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    @property
    def station_db(self) -> str | None:
        """The station's database that the watermarks are of."""
        return self._sequence.meta("station_db")

    def released(self) -> dict[str, Released]:
        """Return what was released when last written."""
        return read_released(self._path)

    def set_released(self, released: Mapping[str, Released], station_db: str) -> None:
        """Store the watermarks in place of the former ones; what has not changed is not written again."""
        rows = encode_watermarks(released)
        with self._changing():
            if self.station_db != station_db:
                self._sequence.set_meta("station_db", station_db)
            replace_watermarks(self._connection, rows)
            self._connection.executemany(
                "DELETE FROM meta WHERE key = ?", [(key,) for key in self._restored() if key[9:] not in released]
            )

    def _restored(self) -> list[str]:
        return [
            key for (key,) in self._connection.execute("SELECT key FROM meta WHERE key LIKE 'restored %'").fetchall()
        ]

    def doubt(self, key: Key) -> None:
        """Tell capture that a record of its file is not what was written, or not where it should be."""
        with self._changing():
            self._sequence.set_meta("outbox_doubt", f"{key[0]} {key[1]} {self._clock.now().isoformat()}")

    def note_restored(self, epoch: str, last: int, claimed: int) -> None:
        """Append the event, once for each epoch, that a station holds more of it than this card ever had."""
        key = f"restored {epoch}"
        if self._sequence.meta(key) is not None:
            return
        text = (
            f"a station holds records of epoch {epoch[:8]} up to {claimed}, this card {last}: a copied card, or an "
            "older copy put back?"
        )
        with self._changing():
            self._sequence.set_meta(key, str(claimed))
            self._append(self._labels.event("restored_card", text, {"epoch": epoch, "last": last, "station": claimed}))

    def add_request(self, request: str) -> None:
        """Leave a request for capture; the same id twice is one request."""
        now = datetime.now(UTC)
        with self._changing():
            self._connection.execute(
                "INSERT OR IGNORE INTO requests(id, received_at) VALUES (?, ?)", (request, now.isoformat())
            )
            self._connection.execute("DELETE FROM requests WHERE number <= (SELECT max(number) - 100 FROM requests)")

    def remove_request(self, request: str) -> None:
        """Forget a request whose reading has come."""
        with self._changing():
            self._connection.execute("DELETE FROM requests WHERE id = ?", (request,))

    def requests(self) -> set[str]:
        """Return the open requests."""
        return {request for (request,) in self._connection.execute("SELECT id FROM requests").fetchall()}

    def report_refused(self, key: Key, stream: str, reason: str) -> None:
        """Append the event, at most once a day and stream, that a broker refuses a record while it takes others."""
        epoch, seq = key
        today = self._clock.now().astimezone(UTC).date().isoformat()
        if self._sequence.meta(f"refused {stream}") == today:
            return
        text = (
            f"{stream} {seq} of epoch {epoch[:8]} is kept here and tried again: {reason}, while it takes others. "
            "There may be more of them: see the device's health"
        )
        with self._changing():
            self._sequence.set_meta(f"refused {stream}", today)
            self._append(self._labels.event("record_quarantined", text, {"epoch": epoch, "seq": seq, "stream": stream}))

    def lose_thumbnail(self, key: Key, reason: str) -> None:
        """Append the loss of a thumbnail that can never be sent, and remember that it was named."""
        epoch, seq = key
        with self._changing():
            self._connection.execute(
                "INSERT OR IGNORE INTO quarantine VALUES (?, ?, 'thumbnail', ?, ?)",
                (epoch, seq, reason, datetime.now(UTC).isoformat()),
            )
            self._append(self._labels.lost("thumbnail", epoch, seq, seq, reason))

    def lost_thumbnails(self) -> set[Key]:
        """Return epoch and number of the thumbnails that were named as lost."""
        query = "SELECT epoch, seq FROM quarantine WHERE stream = 'thumbnail' AND reason LIKE 'its file%'"
        return set(self._connection.execute(query).fetchall())

    def doubts(self) -> Doubts:
        """Return how often each record (epoch, seq, stream) that is under suspicion was refused."""
        found = self._connection.execute("SELECT epoch, seq, stream, strikes FROM doubts").fetchall()
        return {(epoch, seq, stream): strikes for epoch, seq, stream, strikes in found}

    def set_doubts(self, doubts: Doubts) -> None:
        """Store the suspicions in place of the former ones."""
        with self._changing():
            self._connection.execute("DELETE FROM doubts")
            rows = [(*key, strikes) for key, strikes in doubts.items()]
            self._connection.executemany("INSERT INTO doubts VALUES (?, ?, ?, ?)", rows)

    def event(self, code: EventCode, text: str, **detail: Scalar) -> None:
        """Append an event of publish's own."""
        with self._changing():
            self._append(self._labels.event(code, text, detail))

    def close(self) -> None:
        """Close the file and let the next writer in."""
        close_writer(self._connection, self._path)
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
            self._replace_damaged(str(error))

    def _tidy(self, settings: tree.Outbox) -> None:
        bounded = msgspec.structs.replace(settings, max_mb=MAX_MB, min_free_mb=0)
        retention = Retention(self._path, bounded, self._sequence, self._clock, lambda _sha: None)
        try:
            with reading(self._path):
                for _done in retention.tidy(self.released(), self._labels.losses, self._append):
                    pass
            with self._changing():
                old = f"SELECT epoch, seq, stream FROM quarantine ORDER BY at DESC LIMIT -1 OFFSET {MAX_QUARANTINED}"
                self._connection.execute(f"DELETE FROM quarantine WHERE (epoch, seq, stream) IN ({old})")
        finally:  # after a rollback memory may be ahead of the file
            with reading(self._path):
                self._sequence.reload()

    def _begin(self) -> None:
        """Open the file; replace a damaged one by what is readable of it."""
        replace.finish_replacement(self._path)
        replace.remove_successor(self._path)
        journal = look_at_journal(self._path)
        try:
            if journal.damaged:
                raise DatabaseDamaged("its journal is broken in the middle")
            self._connect(self._path)
            self._look_whole()
        except DatabaseDamaged as error:
            self._replace_damaged(str(error))
            return
        if journal.torn:
            with self._changing():
                self._sequence.set_meta("torn", str(journal.in_doubt))

    def _replace_damaged(self, finding: str) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()
        released = self.released()

        def make(aside: str, saved: damage.Saved) -> None:
            self._make_successor(finding, aside, saved, released)

        replace.replace_damaged(self._path, released, make, lambda: None)
        self._connect(self._path)

    def _make_successor(self, finding: str, aside: str, saved: damage.Saved, released: dict[str, Released]) -> None:
        """Save events, losses and watermarks, which have seals; the rest is asked for or found again."""
        replace.remove_successor(self._path)
        self._connection = open_writer(replace.successor_name(self._path), SCHEMA + WATERMARKS + _TABLES + _DOUBTS)
        self._epoch, self._began = secrets.token_hex(16), self._labels.now()
        self._sequence = Sequence(self._connection, self._epoch)
        text = f"{DELIVERY} was damaged ({finding}); set aside as {aside}; {len(saved.rows)} records saved"
        try:
            with writing(self._connection, self._path):
                replace.take_over(self._sequence, saved)
                self._begin_epoch("damaged", text)
                detail: dict[str, Scalar] = {"file": aside, "saved": len(saved.rows)}
                self._insert(self._labels.event("database_set_aside", text, detail))
                for lost in replace.losses(saved, released, self._labels.losses):
                    self._insert(lost)
                replace_watermarks(self._connection, encode_watermarks(released))
        finally:
            self._connection.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Run the body in one transaction; after a rollback memory must not be ahead of the file."""
        try:
            with writing(self._connection, self._path):
                yield
        except BaseException:
            with suppress(StorageError), reading(self._path):
                self._sequence.reload()
            raise

    def _look_whole(self) -> None:
        """Check the file, which is small, before it is trusted.

        Raises:
            DatabaseDamaged: it is not whole.
        """
        with reading(self._path):
            finding = damage.look_through(self._connection)
        if finding:
            raise DatabaseDamaged(finding)

    def _connect(self, path: Path) -> None:
        # FULL here too: an event that was sent and then rolled back would give its number to another one.
        self._connection = open_writer(path, SCHEMA + WATERMARKS + _TABLES + _DOUBTS)
        with reading(self._path):
            seal_old_rows(self._connection)
            seal_old_watermarks(self._connection)
            self._sequence = Sequence(self._connection, self._epoch)
            self._sequence.look_sound()

    def _begin_epoch(self, reason: str, text: str) -> None:
        """Begin this process's epoch within the caller's transaction; as in the outbox, it names the one before."""
        before, last = self._sequence.before
        starts = self._sequence.begin_epoch(reason)
        self._sequence.set_meta("torn", "")
        if before:
            detail: dict[str, Scalar] = {"reason": reason, "before": before, "last": last, "starts": starts}
            self._insert(self._labels.event("epoch_begun", text, detail, self._began))

    def _append(self, record: Event | Lost | LostRanges) -> tuple[str, int]:
        """Insert within the caller's transaction; this process's first record begins its epoch."""
        if not self._sequence.begun and self._sequence.meta("torn"):
            text = "the newest entry of the journal is broken: a power cut while it was written, or a worn card"
            self._begin_epoch("torn journal", text)
        elif not self._sequence.begun:
            self._begin_epoch(START, "a new start of publish")
        return self._insert(record)

    def _insert(self, record: Event | Lost | LostRanges) -> tuple[str, int]:
        body = jsontext.encode(record)
        epoch, seq = self._sequence.epoch, self._sequence.last_seq + 1
        self._sequence.insert(new_row(epoch, seq, "record", record.schema, record.recorded_at, body, None, ""))
        return epoch, seq
