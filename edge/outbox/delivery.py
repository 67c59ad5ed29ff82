"""`delivery.db`: what publish remembers: watermarks, quarantine, requests for capture, its own sequence of events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from edge.clock import Clock, SystemClock
from edge.contract import jsontext
from edge.contract.base import Scalar
from edge.contract.record import Event, EventCode, Lost
from edge.errors import DatabaseDamaged
from edge.outbox import replace
from edge.outbox.database import open_writer, reading, writing
from edge.outbox.label import Labels
from edge.outbox.lock import WriterLock
from edge.outbox.parting import PREFIX, Parting, encode_parting, has_tail, move_tail, read_partings
from edge.outbox.released import Released, encode_ranges, read_released
from edge.outbox.requests import DELIVERY
from edge.outbox.sequence import SCHEMA, Sequence, new_row, seal, seal_old_rows

_TABLES = """
CREATE TABLE IF NOT EXISTS watermarks(
    epoch TEXT PRIMARY KEY, records TEXT NOT NULL, thumbnails TEXT NOT NULL,
    seal TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
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
        self._path, self._clock = state_dir / DELIVERY, clock
        self._labels = Labels(device_id, clock)
        self._lock = WriterLock(state_dir / "delivery.lock", str(self._path))

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
        """Store the watermarks in place of the former ones."""
        texts = [
            (epoch, encode_ranges(held.records), encode_ranges(held.thumbnails)) for epoch, held in released.items()
        ]
        rows = [(*text, seal(*text)) for text in texts]
        with writing(self._connection, self._path):
            self._sequence.set_meta("station_db", station_db)
            self._connection.execute("DELETE FROM watermarks")
            self._connection.executemany(
                "INSERT INTO watermarks(epoch, records, thumbnails, seal) VALUES (?, ?, ?, ?)", rows
            )

    def doubt(self, key: Key) -> None:
        """Tell capture that a record of its file is not what was written, or not where it should be."""
        with writing(self._connection, self._path):
            self._sequence.set_meta("outbox_doubt", f"{key[0]} {key[1]} {self._clock.now().isoformat()}")

    def part(self, epoch: str, parting: Parting) -> None:
        """Tell the file's owner from which number on this card's history is its own; publish's own moves at once."""
        with writing(self._connection, self._path):
            self._sequence.set_meta(PREFIX + epoch, encode_parting(parting))
            if self._knows(epoch) and has_tail(self._sequence, epoch, parting.first):
                moved = move_tail(self._sequence, epoch, parting.first, "restored", None, self._path.parent)
                text = f"a station holds other events of epoch {epoch[:8]}: a copied card, or an older copy put back?"
                detail: dict[str, Scalar] = {"epoch": epoch, "first": parting.first, "last": moved.last}
                detail |= {"station": parting.seen, "moved": moved.records}
                self._insert(self._labels.event("restored_card", text, detail))

    def partings(self) -> dict[str, Parting]:
        """Return the partings that were told."""
        return read_partings(self._path)

    def add_request(self, request: str) -> None:
        """Leave a request for capture; the same id twice is one request."""
        now = datetime.now(UTC)
        with writing(self._connection, self._path):
            self._connection.execute(
                "INSERT OR IGNORE INTO requests(id, received_at) VALUES (?, ?)", (request, now.isoformat())
            )
            self._connection.execute("DELETE FROM requests WHERE number <= (SELECT max(number) - 100 FROM requests)")

    def remove_request(self, request: str) -> None:
        """Forget a request whose reading has come."""
        with writing(self._connection, self._path):
            self._connection.execute("DELETE FROM requests WHERE id = ?", (request,))

    def requests(self) -> set[str]:
        """Return the open requests."""
        return {request for (request,) in self._connection.execute("SELECT id FROM requests").fetchall()}

    def quarantine(self, key: Key, stream: str, reason: str) -> None:
        """Take a record (or its thumbnail) out of the way; the event and the loss go out in its place."""
        epoch, seq = key
        text = f"{stream} {seq} of epoch {epoch[:8]} is not sent any more: {reason}"
        with writing(self._connection, self._path):
            self._connection.execute(
                "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?, ?)",
                (epoch, seq, stream, reason, datetime.now(UTC).isoformat()),
            )
            self._insert(self._labels.event("record_quarantined", text, {"epoch": epoch, "seq": seq, "stream": stream}))
            self._insert(self._labels.lost(stream, epoch, seq, seq, f"quarantined on the device: {reason}"))

    def quarantined(self) -> set[tuple[str, int, str]]:
        """Return (epoch, seq, stream) of what is not sent any more."""
        return set(self._connection.execute("SELECT epoch, seq, stream FROM quarantine").fetchall())

    def doubts(self) -> Doubts:
        """Return how often each record (epoch, seq, stream) that is under suspicion was refused."""
        found = self._connection.execute("SELECT epoch, seq, stream, strikes FROM doubts").fetchall()
        return {(epoch, seq, stream): strikes for epoch, seq, stream, strikes in found}

    def set_doubts(self, doubts: Doubts) -> None:
        """Store the suspicions in place of the former ones."""
        with writing(self._connection, self._path):
            self._connection.execute("DELETE FROM doubts")
            rows = [(*key, strikes) for key, strikes in doubts.items()]
            self._connection.executemany("INSERT INTO doubts VALUES (?, ?, ?, ?)", rows)

    def event(self, code: EventCode, text: str, **detail: Scalar) -> None:
        """Append an event of publish's own."""
        with writing(self._connection, self._path):
            self._insert(self._labels.event(code, text, detail))

    def close(self) -> None:
        """Close the file and let the next writer in."""
        self._connection.close()
        self._lock.release()

    def _begin(self) -> None:
        try:
            self._connect()
            self._look_whole()
        except DatabaseDamaged as error:
            if hasattr(self, "_connection"):
                self._connection.close()
            aside = replace.aside_name(self._path)
            replace.set_aside(self._path, aside)
            self._connect()
            self.event("database_set_aside", f"{DELIVERY} was damaged ({error}); set aside as {aside.name}")

    def _look_whole(self) -> None:
        """Check the file, which is small, before it is trusted.

        Raises:
            DatabaseDamaged: it is not whole.
        """
        with reading(self._path):
            lines = [str(line) for (line,) in self._connection.execute("PRAGMA integrity_check(1)").fetchall()]
        if lines != ["ok"]:
            raise DatabaseDamaged("; ".join(lines)[:300])

    def _connect(self) -> None:
        # FULL here too: an event that was sent and then rolled back would give its number to another one.
        self._connection = open_writer(self._path, SCHEMA + _TABLES + _DOUBTS)
        with reading(self._path):
            seal_old_rows(self._connection)
            self._seal_old_watermarks()
            self._sequence = Sequence(self._connection)
            self._sequence.look_sound()
        if self._sequence.epoch == "":
            with writing(self._connection, self._path):
                self._sequence.begin_epoch("new")

    def _seal_old_watermarks(self) -> None:
        """Give those of an earlier version their seals."""
        if any(name == "seal" for _, name, *_ in self._connection.execute("PRAGMA table_info(watermarks)").fetchall()):
            return
        self._connection.execute("ALTER TABLE watermarks ADD COLUMN seal TEXT NOT NULL DEFAULT ''")
        for values in self._connection.execute("SELECT epoch, records, thumbnails FROM watermarks").fetchall():
            self._connection.execute("UPDATE watermarks SET seal = ? WHERE epoch = ?", (seal(*values), values[0]))

    def _knows(self, epoch: str) -> bool:
        query = "SELECT 1 FROM epochs WHERE epoch = ?"
        return self._connection.execute(query, (epoch,)).fetchone() is not None

    def _insert(self, record: Event | Lost) -> None:
        body = jsontext.encode(record)
        epoch, seq = self._sequence.epoch, self._sequence.last_seq + 1
        self._sequence.insert(new_row(epoch, seq, "record", record.schema, record.recorded_at, body, None, ""))
