"""The station's store: takes messages in batches, each once, and knows what it has accounted for."""

from __future__ import annotations

import errno
import fcntl
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from edge.contract.delivery import Committed
from edge.contract.identity import Head
from edge.contract.reading import Reading
from edge.contract.record import ClockCorrection, Event, Lost
from edge.errors import DatabaseDamaged, DiskFull, OperatorError, StorageError
from station import aside, rows, schema
from station.compare import tell_known
from station.ledger import Account, Ledger, missing
from station.message import STATES, Arrival, Content, Picture, Record, Unreadable, read_picture, read_record
from station.picture import sync_folders, write_picture

MAX_PAYLOAD_BYTES = 1 << 20
_FIRST_HELD = "the device no longer holds it"


@dataclass(slots=True)
class Taken:
    """What became of one batch. `alarms` are sentences for a person."""

    stored: int = 0
    known: int = 0
    quarantined: int = 0
    conflicts: int = 0
    devices: set[str] = field(default_factory=set)
    alarms: list[str] = field(default_factory=list)


class Store:
    """One writer of `<data>/station.db` and `<data>/thumbnails/`."""

    def __init__(self, connection: sqlite3.Connection, data: Path, lock: IO[str], max_payload_bytes: int) -> None:
        """Use `Store.open`."""
        self._connection = connection
        self._data = data
        self._lock = lock
        self._max_bytes = max_payload_bytes
        self._ledger = Ledger(connection)
        self._written: list[Path] = []
        (self.station_db,) = connection.execute("SELECT value FROM meta WHERE key = 'station_db'").fetchone()

    @classmethod
    def open(cls, data: Path, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> Store:
        """Return the store in the folder, made when absent.

        Raises:
            OperatorError: the folder cannot be used, or another station runs in it.
            DatabaseDamaged: the database cannot be read.
        """
        try:
            data.mkdir(parents=True, exist_ok=True)
            lock = (data / "station.lock").open("w")
        except OSError as error:
            raise OperatorError(f"{data}: expected a folder that can be written, got {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise OperatorError(f"{data}: another cageclock-station run uses this folder; stop it first") from error
        try:
            return cls(schema.open_for_writing(data), data, lock, max_payload_bytes)
        except BaseException:
            lock.close()
            raise

    def close(self) -> None:
        """Close the database and let another station in."""
        self._connection.close()
        self._lock.close()

    def devices(self) -> list[str]:
        """Return every device that the store has accounts of."""
        return self._ledger.devices()

    def committed(self, device: str) -> Committed:
        """Return the promise to the device: what is accounted for in committed transactions."""
        return tell_known(self._connection, device, self._ledger.committed(device, self.station_db))

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Return what became of the messages, all of them durable: pictures first, then one transaction.

        Raises:
            DiskFull, StorageError, DatabaseDamaged: nothing of the batch was taken; acknowledge none of it.
        """
        taken = Taken()
        self._written.clear()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for arrival in arrivals:
                self._take_one(arrival, taken)
            sync_folders(self._data, self._written)
            self._ledger.save()
            self._connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._undo()
            if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
                raise DatabaseDamaged(f"{self._data / schema.DATABASE}: {error}; move it aside") from error
            full = "full" in str(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)
            kind = DiskFull if full else StorageError
            raise kind(f"{self._data}: could not store {len(arrivals)} messages: {error}") from error
        except BaseException:
            self._undo()
            raise
        return taken

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._ledger.reload()

    def _take_one(self, arrival: Arrival, taken: Taken) -> None:
        if arrival.stream in STATES:
            # A device that shows itself hears the promise at once: it may know another database's.
            taken.devices.add(arrival.device)
            self._connection.execute(
                "INSERT OR REPLACE INTO device_state VALUES (?, ?, ?, ?)",
                (arrival.device, arrival.stream, arrival.payload[: self._max_bytes], arrival.received_at),
            )
        elif arrival.stream == "thumbnail":
            picture = read_picture(arrival, self._max_bytes)
            if isinstance(picture, Picture):
                self._take_picture(arrival, picture, taken)
            else:
                self._set_aside(arrival, picture, taken)
        else:
            record = read_record(arrival, self._max_bytes)
            if isinstance(record, Record):
                self._take_record(arrival, record, taken)
            else:
                self._set_aside(arrival, record, taken)

    def _take_record(self, arrival: Arrival, record: Record, taken: Taken) -> None:
        head, device = record.head, arrival.device
        account = self._account(arrival, head, taken)
        inserted = self._connection.execute(
            "INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                device,
                head.epoch,
                head.seq,
                record.digest,
                record.content.schema,
                record.body,
                arrival.received_at,
                int(head.replayed),
            ),
        )
        if inserted.rowcount:
            taken.stored += 1
            account.records.add(head.seq)
            if not isinstance(record.content, Reading) or record.content.thumbnail is None:
                account.thumbnails.add(head.seq)
            self._spread(arrival, head, record.content, taken)
            return
        earlier = self._one("SELECT digest FROM records", device, head.epoch, head.seq)
        if earlier is not None and earlier[0] == record.digest:
            taken.known += 1
        else:
            self._conflict(arrival, head.epoch, head.seq, "record", record.digest, record.body, taken)

    def _spread(self, arrival: Arrival, head: Head, content: Content, taken: Taken) -> None:
        """Write the query tables of a record that was just stored."""
        execute, device = self._connection.execute, arrival.device
        if isinstance(content, Reading):
            execute(f"INSERT INTO readings VALUES ({_marks(29)})", rows.reading_row(device, head, content))
            for row in rows.animal_rows(device, head, content):
                execute(f"INSERT INTO animals VALUES ({_marks(17)})", row)
            if content.thumbnail is not None:
                self._check_earlier_picture(arrival, head, content.thumbnail.sha256, taken)
        elif isinstance(content, Event):
            execute(f"INSERT INTO events VALUES ({_marks(10)})", rows.event_row(device, head, content))
        elif isinstance(content, ClockCorrection):
            execute(f"INSERT INTO clock_corrections VALUES ({_marks(7)})", rows.correction_row(device, head, content))
        elif isinstance(content, Lost):
            self._lose(arrival, content.of_epoch, content.first_seq, content.last_seq, content.what, content.reason)

    def _account(self, arrival: Arrival, head: Head, taken: Taken) -> Account:
        """Return the sequence's account; numbers below first_held that never came are recorded as lost."""
        taken.devices.add(arrival.device)
        account = self._ledger.touch(arrival.device, head.epoch, arrival.received_at)
        # A record that is being sent is held: a first_held beyond it would claim what nobody can know.
        below = min(head.first_held, head.seq) - 1
        if below < 1:
            return account
        gone = missing(account.records, 1, below)
        for first, last in gone:
            self._lose(arrival, head.epoch, first, last, "record", _FIRST_HELD)
        for first, last in missing(account.thumbnails, 1, below):
            self._lose(arrival, head.epoch, first, last, "thumbnail", _FIRST_HELD)
        if gone:
            spans = ", ".join(f"{first}-{last}" for first, last in gone[:5])
            taken.alarms.append(f"LOST {arrival.device}: gone before it could be sent: {head.epoch[:8]} {spans}")
        return account

    def _lose(self, arrival: Arrival, epoch: str, first: int, last: int, what: str, reason: str) -> None:
        account = self._ledger.touch(arrival.device, epoch, arrival.received_at)
        account.thumbnails.add(first, last)
        if what == "record":
            account.records.add(first, last)
        self._connection.execute(
            "INSERT OR IGNORE INTO losses VALUES (?, ?, ?, ?, ?, ?, ?)",
            (arrival.device, epoch, first, last, what, reason, arrival.received_at),
        )

    def _take_picture(self, arrival: Arrival, picture: Picture, taken: Taken) -> None:
        key = (arrival.device, picture.epoch, picture.seq)
        taken.devices.add(arrival.device)
        self._ledger.touch(arrival.device, picture.epoch, arrival.received_at).thumbnails.add(picture.seq)
        stored = self._one("SELECT sha256 FROM thumbnails", *key)
        if stored is not None and stored[0] == picture.sha256:
            taken.known += 1
            return
        reading = self._one("SELECT captured_s, thumbnail_sha256 FROM readings", *key)
        if reading is not None and reading[1] != picture.sha256:
            self._mismatch(arrival, picture.epoch, picture.seq, picture.sha256, picture.jpeg, reading[1], taken)
        elif stored is not None:
            self._conflict(arrival, picture.epoch, picture.seq, "thumbnail", picture.sha256, picture.jpeg, taken)
        else:
            taken_at = datetime.fromtimestamp(reading[0], UTC) if reading is not None else picture.captured_at
            self._keep_picture(arrival, picture, taken_at or datetime.fromtimestamp(arrival.received_at, UTC))
            taken.stored += 1

    def _keep_picture(self, arrival: Arrival, picture: Picture, taken_at: datetime) -> None:
        place = Path("thumbnails", arrival.device, f"{taken_at:%Y-%m}", f"{picture.epoch[:8]}-{picture.seq}.jpg")
        path = write_picture(self._data, place, picture.jpeg)
        self._written.append(path)
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

    def _check_earlier_picture(self, arrival: Arrival, head: Head, expected: str, taken: Taken) -> None:
        """Set aside a picture that came before its reading and is not the one that the reading describes."""
        key = (arrival.device, head.epoch, head.seq)
        earlier = self._one("SELECT path, sha256 FROM thumbnails", *key)
        if earlier is None or earlier[1] == expected:
            return
        jpeg = (self._data / earlier[0]).read_bytes()
        self._connection.execute("DELETE FROM thumbnails WHERE device = ? AND epoch = ? AND seq = ?", key)
        self._mismatch(arrival, head.epoch, head.seq, earlier[1], jpeg, expected, taken)
        right = aside.release_conflict(self._connection, *key, "thumbnail", expected)
        if right is not None:
            picture = Picture(head.epoch, head.seq, expected, right, None)
            self._keep_picture(arrival, picture, datetime.fromtimestamp(arrival.received_at, UTC))

    def _mismatch(
        self, arrival: Arrival, epoch: str, seq: int, digest: str, jpeg: bytes, expected: str | None, taken: Taken
    ) -> None:
        reason = f"expected the thumbnail {expected} that the reading describes, got {digest}"
        found = Unreadable(reason, Head(epoch, seq, 0, False), digest, jpeg, whole=True)
        self._set_aside(Arrival(arrival.device, "thumbnail", jpeg, arrival.received_at), found, taken)

    def _conflict(
        self, arrival: Arrival, epoch: str, seq: int, what: str, digest: str, content: bytes, taken: Taken
    ) -> None:
        taken.conflicts += 1
        taken.alarms.append(aside.keep_conflict(self._connection, arrival, epoch, seq, what, digest, content))

    def _set_aside(self, arrival: Arrival, found: Unreadable, taken: Taken) -> None:
        """Quarantine a message; where its identity could be read it is accounted for."""
        taken.quarantined += 1
        taken.alarms.append(aside.keep_unreadable(self._connection, arrival, found))
        head = found.head
        if head is None:
            return
        taken.devices.add(arrival.device)
        if arrival.stream == "thumbnail":
            account = self._ledger.touch(arrival.device, head.epoch, arrival.received_at)
        else:
            account = self._account(arrival, head, taken)
            account.records.add(head.seq)
        if not found.awaits_thumbnail:
            account.thumbnails.add(head.seq)

    def _one(self, select: str, device: str, epoch: str, seq: int) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(
            f"{select} WHERE device = ? AND epoch = ? AND seq = ?", (device, epoch, seq)
        ).fetchone()
        return found


def _marks(count: int) -> str:
    return ", ".join("?" * count)
