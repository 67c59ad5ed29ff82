"""What one message changes: rows, accounts, pictures. Its caller begins, keeps and takes back."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.contract.identity import Head
from edge.contract.reading import Reading
from edge.contract.record import ClockCorrection, Event, Lost, LostRanges, ranges_of
from station.days.keep import DayKeeper
from station.store import rows
from station.store.account import Account
from station.store.chain import Chain, EpochEntry, entry_of, read_info
from station.store.ledger import Ledger
from station.store.losses import Losses
from station.store.message import (
    RECORD_STREAMS,
    STATES,
    Arrival,
    Content,
    Picture,
    Record,
    Unreadable,
    find_head,
    read_picture,
    read_record,
    read_state,
    read_unexpected,
)
from station.store.quarantine import Aside
from station.store.quota import Quota
from station.store.record_rows import INSERT, record_row
from station.store.taken import Taken
from station.store.thumbnails import Album

_READING = f"INSERT INTO readings VALUES ({', '.join('?' * 29)})"
_ANIMAL = f"INSERT INTO animals VALUES ({', '.join('?' * 17)})"
_FIRST_HELD = "the device no longer holds it"
_ENDED = "its epoch ended, and the device no longer holds it"


class Intake:
    """Takes one message after the other into the caller's transaction; `album` lists the pictures."""

    def __init__(
        self, connection: sqlite3.Connection, data: Path, ledger: Ledger, quota: Quota, max_bytes: int
    ) -> None:
        """Use the store's parts."""
        self._connection = connection
        self._ledger = ledger
        self._quota = quota
        self._aside = Aside(connection, quota)
        self._chain = Chain(connection, quota.limits.epochs)
        self._losses = Losses(connection)
        self.days = DayKeeper(connection)
        self._max_bytes = max_bytes
        self.album = Album(connection, data, ledger, self._aside)

    def take(self, arrival: Arrival, taken: Taken) -> None:
        """Store a message, or set it aside with the reason.

        Raises:
            OverQuota: it is not to be taken.
        """
        self._quota.admit(arrival.device)
        self._take_one(arrival, taken)

    def set_aside(self, arrival: Arrival, taken: Taken, error: Exception) -> None:
        """Quarantine a message that this program failed on, and account for it where its identity can be read."""
        self._quota.admit(arrival.device)
        self._set_aside(arrival, read_unexpected(arrival, error), taken)

    def keep_trace(self, arrival: Arrival, taken: Taken, error: Exception) -> None:
        """Quarantine a message that cannot even be set aside, with nothing in the row that comes from its content.

        It is accounted for as far as its identity can be read.
        """
        self._quota.admit(arrival.device)
        head = find_head(arrival)
        if head is not None:
            taken.devices.add(arrival.device)
            account = self._ledger.touch(arrival.device, head.epoch, arrival.received_at)
            account.thumbnails.add(head.seq)
            if arrival.stream != "thumbnail":
                account.records.add(head.seq)
        epoch, seq = (head.epoch, head.seq) if head is not None else ("", 0)
        taken.quarantined += 1
        taken.alarms += self._aside.keep_trace(arrival, epoch, seq, error)

    def waiting(self, rowid: int, most: int) -> list[tuple[int, Arrival]]:
        """Return the next messages of the quarantine of which all was kept, with their rows."""
        return self._aside.whole_after(rowid, most)

    def take_again(self, arrival: Arrival, taken: Taken, rowid: int) -> None:
        """Store a record of the quarantine that can be read now; what still cannot be stays there."""
        streams = (arrival.stream,) if arrival.stream in RECORD_STREAMS else RECORD_STREAMS
        for stream in streams:
            record = read_record(replace(arrival, stream=stream), self._max_bytes)
            if isinstance(record, Record):
                self._aside.release(rowid, arrival)
                self._take_record(arrival, record, taken)
                return

    def _take_one(self, arrival: Arrival, taken: Taken) -> None:
        if arrival.stream in STATES:
            # A device that shows itself hears the promise at once: it may know another database's.
            taken.devices.add(arrival.device)
            state = read_state(arrival, self._max_bytes)
            if isinstance(state, Unreadable):
                self._set_aside(arrival, state, taken)
                return
            self._connection.execute(
                "INSERT OR REPLACE INTO device_state VALUES (?, ?, ?, ?)",
                (arrival.device, arrival.stream, state, arrival.received_at),
            )
            if arrival.stream == "info":
                self._take_info(arrival, state, taken)
        elif arrival.stream == "thumbnail":
            picture = read_picture(arrival, self._max_bytes)
            if isinstance(picture, Picture):
                self.album.take(arrival, picture, taken)
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
        # Also where it is stored already: an account that was damaged is mended by what comes again.
        account.records.add(head.seq)
        if not isinstance(record.content, Reading) or record.content.thumbnail is None:
            account.thumbnails.add(head.seq)
        earlier = self._one("SELECT digest FROM records", device, head.epoch, head.seq)
        if earlier is None:
            values = (device, head.epoch, head.seq, record.digest, record.content.schema, record.body)
            self._connection.execute(INSERT, record_row(*values, arrival.received_at, int(head.replayed)))
            taken.stored += 1
            if head.seq in account.lost:
                self._losses.withdraw(device, head.epoch, head.seq)
            self._spread(arrival, head, record.content, taken)
            return
        if earlier[0] == record.digest:
            taken.known += 1
        else:
            self._conflict(arrival, head.epoch, head.seq, "record", record.digest, record.body, taken)

    def _spread(self, arrival: Arrival, head: Head, content: Content, taken: Taken) -> None:
        """Write the query tables of a record that was just stored."""
        execute, device = self._connection.execute, arrival.device
        if isinstance(content, Reading):
            row = rows.reading_row(device, head, content)
            execute(_READING, row)
            self.days.note_reading(device, row[4], row[5], row[6], synced=content.clock_synced)
            for animal in rows.animal_rows(device, head, content):
                execute(_ANIMAL, animal)
            if content.thumbnail is not None:
                self.album.check_earlier(arrival, head, content.thumbnail.sha256, taken)
        elif isinstance(content, Event):
            execute(f"INSERT INTO events VALUES ({_marks(10)})", rows.event_row(device, head, content))
            link = entry_of(head.epoch, content)
            if link is not None:
                self._note_epoch(arrival, link, taken)
        elif isinstance(content, ClockCorrection):
            self.days.note_boot(device, content.of_boot_id)
            execute(f"INSERT INTO clock_corrections VALUES ({_marks(7)})", rows.correction_row(device, head, content))
        elif isinstance(content, (Lost, LostRanges)):
            for epoch, first, last in ranges_of(content):
                self._lose(arrival, epoch, first, last, content.what, content.reason)

    def _take_info(self, arrival: Arrival, body: bytes, taken: Taken) -> None:
        """Take in how the device's epochs follow each other, and what it does not hold any more."""
        said = read_info(body)
        for link in said.links:
            self._note_epoch(arrival, link, taken)
        for oldest in said.oldest:
            self._settle_before(arrival, oldest, taken)

    def _note_epoch(self, arrival: Arrival, link: EpochEntry, taken: Taken) -> None:
        self.days.note_epochs(arrival.device)
        alarm = self._chain.note(arrival.device, link)
        taken.alarms += [alarm] if alarm else []
        if self._chain.settled(arrival.device, link.epoch):
            self._settle_before(arrival, link.epoch, taken)

    def _settle_before(self, arrival: Arrival, oldest: str, taken: Taken) -> None:
        """Record as lost what never came of the epochs before the oldest one that the device still holds."""
        for epoch, last in self._chain.gone_before(arrival.device, oldest):
            if last == 0:
                continue
            account = self._ledger.touch(arrival.device, epoch, 0.0)
            gone = account.unaccounted(last)
            for what, spans in (("record", gone), ("thumbnail", account.unaccounted_thumbnails(last))):
                for first, end in spans:
                    self._lose(arrival, epoch, first, end, what, _ENDED)
            if gone:
                taken.alarms.append(_deleted_unsent(arrival.device, epoch, gone, "of an epoch that has ended "))

    def _account(self, arrival: Arrival, head: Head, taken: Taken) -> Account:
        """Return the sequence's account; numbers below first_held that never came are recorded as lost."""
        taken.devices.add(arrival.device)
        account = self._ledger.touch(arrival.device, head.epoch, arrival.received_at)
        # A record that is being sent is held: a first_held beyond it would claim what nobody can know.
        below = min(head.first_held, head.seq) - 1
        if below < 1:
            return account
        gone = account.unaccounted(below)
        for first, last in gone:
            self._lose(arrival, head.epoch, first, last, "record", _FIRST_HELD)
        for first, last in account.unaccounted_thumbnails(below):
            self._lose(arrival, head.epoch, first, last, "thumbnail", _FIRST_HELD)
        if gone:
            taken.alarms.append(_deleted_unsent(arrival.device, head.epoch, gone))
        return account

    def _lose(self, arrival: Arrival, epoch: str, first: int, last: int, what: str, reason: str) -> None:
        account = self._ledger.touch(arrival.device, epoch, arrival.received_at)
        account.lost_thumbnails.add(first, last)
        if what == "record":
            account.lost.add(first, last)
        self._losses.note(arrival.device, epoch, (first, last), what, reason, arrival.received_at)

    def _conflict(
        self, arrival: Arrival, epoch: str, seq: int, what: str, digest: str, content: bytes, taken: Taken
    ) -> None:
        taken.conflicts += 1
        taken.alarms += self._aside.keep_conflict(arrival, epoch, seq, what, digest, content)

    def _set_aside(self, arrival: Arrival, found: Unreadable, taken: Taken) -> None:
        """Quarantine a message; where its identity could be read it is accounted for."""
        taken.quarantined += 1
        taken.alarms += self._aside.keep_unreadable(arrival, found)
        head = found.head
        if head is None:
            return
        taken.devices.add(arrival.device)
        if arrival.stream == "thumbnail":
            account = self._ledger.touch(arrival.device, head.epoch, arrival.received_at)
        else:
            account = self._account(arrival, head, taken)
            account.records.add(head.seq)
            if head.seq in account.lost:
                self._losses.withdraw(arrival.device, head.epoch, head.seq)
        if not found.awaits_thumbnail:
            account.thumbnails.add(head.seq)

    def _one(self, select: str, device: str, epoch: str, seq: int) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(
            f"{select} WHERE device = ? AND epoch = ? AND seq = ?", (device, epoch, seq)
        ).fetchone()
        return found


def _deleted_unsent(device: str, epoch: str, gone: list[tuple[int, int]], which: str = "") -> str:
    spans = ", ".join(f"{first}-{last}" for first, last in gone[:5])
    return f"LOST {device}: records {which}were deleted on the device before this station had them: {epoch[:8]} {spans}"


def _marks(count: int) -> str:
    return ", ".join("?" * count)
