"""The station's store: takes messages in batches, each once, and knows what it has accounted for."""

from __future__ import annotations

import errno
import fcntl
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, cast

from edge.contract.committed import Committed
from edge.errors import CageclockError, DatabaseDamaged, DiskFull, OperatorError, StorageError
from station.days.load import count_due
from station.store import schema
from station.store.batches import BatchAtFault, Batches, NoBatches
from station.store.chain import read_info
from station.store.intake import Intake
from station.store.ledger import Ledger
from station.store.message import Arrival, find_head
from station.store.openable import why_not_open
from station.store.picture import FolderTrouble, is_of_the_machine, remove_pictures, sync_pictures
from station.store.quota import FOLDER, Limits, OverQuota, Quota, is_worth_an_alarm
from station.store.retention import Retention, Rule
from station.store.taken import Taken
from station.store.upgrade import Progress
from station.store.upkeep import Upkeep, read_last_pass

MAX_PAYLOAD_BYTES = 1 << 20
REREAD_BATCH = 200
DAYS_A_BATCH = 10
"""Days of devices that are made anew with a batch; more wait, and are made with later ones or in a quiet moment."""
ONE_BY_ONE = 20
"""Batches after one with a message at fault whose messages are taken one by one: who sends one sends more."""
Step = Callable[[Arrival, Taken], None]
_OF_THE_MESSAGE = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.NotSupportedError,
)
"""What SQLite raises for a value that it cannot take. Its other errors are the disk's, the lock's or the file's."""


class Store:
    """One writer of `<data>/station.db` and `<data>/thumbnails/`."""

    def __init__(
        self, connection: sqlite3.Connection, data: Path, lock: IO[str], max_payload_bytes: int, limits: Limits
    ) -> None:
        """Use `Store.open`."""
        self._connection = connection
        self._batches: Batches = (
            NoBatches() if isinstance(connection, sqlite3.Connection) else cast(Batches, connection)
        )
        self._data = data
        self._lock = lock
        self._quota = Quota(connection, limits)
        self._ledger = Ledger(connection, limits)
        self._intake = Intake(connection, data, self._ledger, self._quota, max_payload_bytes)
        self._upkeep = Upkeep(connection, data, self._ledger, self._intake.days, may_delete=self._batches.may_delete)
        self.days_a_batch = DAYS_A_BATCH
        self._one_by_one = 0
        (self.station_db,) = connection.execute("SELECT value FROM meta WHERE key = 'station_db'").fetchone()

    @classmethod
    def open(
        cls,
        data: Path,
        *,
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        limits: Limits | None = None,
        progress: Progress = lambda _: None,
    ) -> Store:
        """Return the store in the folder, made when absent. progress: hears how far an older database's upgrade is.

        Raises:
            OperatorError: the folder cannot be used, or another station runs in it.
            StorageError: the folder or the database cannot be used just now.
            DatabaseDamaged: the database cannot be read.
        """
        try:
            data.mkdir(parents=True, exist_ok=True)
            lock = (data / "station.lock").open("w")
        except OSError as error:
            raise why_not_open(data, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise OperatorError(f"{data}: another cageclock-station run uses this folder; stop it first") from error
        try:
            store = cls(schema.open_for_writing(data, progress), data, lock, max_payload_bytes, limits or Limits())
            if not store._batches.hold_log():
                store.close()
                raise StorageError(f"{data}: another station logs into its database; stop it first")
            store._begin_log()
            return store
        except sqlite3.OperationalError as error:  # while what it holds was read
            lock.close()
            raise why_not_open(data, error) from error
        except BaseException:
            lock.close()
            raise

    def _begin_log(self) -> None:
        """Have a copy of another log be a log of its own: what is logged now would be lost by copying once more."""
        if self._connection.execute("SELECT 1 FROM meta WHERE key = 'copied_from'").fetchone():
            self._connection.execute("DELETE FROM meta WHERE key = 'copied_from'")

    def close(self) -> None:
        """Close the database and let another station in."""
        self._connection.close()
        self._lock.close()

    def devices(self) -> list[str]:
        """Return every device that the store has accounts of."""
        return self._ledger.devices()

    def committed(self, device: str) -> Committed:
        """Return the promise to the device: what is accounted for in committed transactions.

        Raises:
            StorageError, DatabaseDamaged: the database cannot be read now.
        """
        try:
            self._revive()
            found = self._connection.execute(
                "SELECT body FROM device_state WHERE device = ? AND what = 'info'", (device,)
            ).fetchone()
            asked = read_info(found[0]).named if found is not None else ()
            return self._ledger.committed(device, self.station_db, asked)
        except Exception as error:
            raise self._translated(error, "say what is committed") from error

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Return what became of the messages, all of them durable: pictures first, then one transaction.

        A message that this program fails on is tried again alone, and set aside only when it fails again: what went
        wrong may have been another's fault. What is wrong with the disk, the memory or the database is no message's.

        Raises:
            DiskFull, StorageError, DatabaseDamaged: not all was taken; acknowledge none of it.
        """
        taken, failed = self._take_batch(arrivals, self._intake.take)
        for arrival in failed:
            taken.add(self._take_alone(arrival))
        return taken

    def reread(self) -> Taken:
        """Return what became of the messages in quarantine that this version can read: they are records now.

        Raises:
            DiskFull, StorageError, DatabaseDamaged: not all was looked at; what was taken in stays.
        """
        total, last = Taken(), 0
        while waiting := self._intake.waiting(last, REREAD_BATCH):
            last = waiting[-1][0]
            for rowid, arrival in waiting:
                # One that fails is taken back whole: it stays where it was.
                taken, _ = self._take_batch([arrival], partial(self._intake.take_again, rowid=rowid))
                total.add(taken)
        return total

    def verify_part(self, now_s: float, *, fresh: bool = False) -> tuple[list[str], bool]:
        """Return what the next part of the pass over the database found and put right, and whether it was the last.

        fresh: begin a pass, also where one is half done.

        Raises:
            DiskFull, StorageError, DatabaseDamaged: the part is to be tried again.
        """
        findings: list[str] = []
        complete = False

        def step(_arrival: Arrival, _taken: Taken) -> None:
            nonlocal complete
            found, complete = self._upkeep.next_part(now_s, fresh=fresh)
            findings.extend(map(str, found))

        _, failed = self._take_batch([Arrival("", "verify", b"", now_s)], step)
        for error in failed.values():
            raise StorageError(f"{self._data}: the database could not be verified: {error!r}") from error
        return findings, complete

    def settle_days(self, most: int = 50) -> bool:
        """Make some of the days anew that wait for it; return whether any did.

        Raises:
            DiskFull, StorageError, DatabaseDamaged: to be tried again.
        """
        self._revive()
        if not count_due(self._connection):
            return False

        def step(_arrival: Arrival, _taken: Taken) -> None:
            self._intake.days.settle(most)

        _, failed = self._take_batch([Arrival("", "days", b"", 0.0)], step)
        for error in failed.values():
            raise StorageError(f"{self._data}: the days could not be made anew: {error!r}") from error
        return True

    def retain_part(self, rules: Sequence[Rule], who: str, now_s: float) -> tuple[int, bool]:
        """Return how many pictures or bodies the next part of a pass of retention removed, and whether it was the last.

        Raises:
            DiskFull, StorageError, DatabaseDamaged: the part is to be tried again.
        """
        retention = Retention(self._connection, self._data, rules, who)
        removed, complete = 0, False

        def step(_arrival: Arrival, _taken: Taken) -> None:
            nonlocal removed, complete
            removed, complete = retention.next_part(now_s)

        try:
            retention.remove_files()  # what an earlier end left behind
            _, failed = self._take_batch([Arrival("", "retention", b"", now_s)], step)
            for error in failed.values():
                raise error
            retention.remove_files()
        except Exception as error:
            raise self._translated(error, "remove what retention names") from error
        return removed, complete

    def compact(self) -> tuple[int, int]:
        """Return the database's bytes before and after it was written anew without the room that removed bodies left.

        Raises:
            DiskFull, StorageError, DatabaseDamaged: it is as it was; there must be room for a second one.
        """
        if not isinstance(self._connection, sqlite3.Connection):
            raise OperatorError(f"{self._data}: PostgreSQL gives room back by itself (autovacuum); nothing to compact")
        path = self._data / schema.DATABASE
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            before = path.stat().st_size
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except Exception as error:
            raise self._translated(error, "write the database anew") from error
        return before, path.stat().st_size

    def last_retention_s(self, rules: Sequence[Rule]) -> float:
        """Return when the last complete pass by these rules ended, Unix seconds; 0 where there was none."""
        return Retention(self._connection, self._data, rules, "").last_pass_s()

    def last_pass_s(self) -> float:
        """Return when the last complete pass over the database ended, Unix seconds; 0 where there was none."""
        self._revive()
        last = read_last_pass(self._connection)
        return 0.0 if last is None else last.ended_s

    def _revive(self) -> None:
        """Connect again where a server was away, also while no message comes."""
        self._batches.revive()
        if self._batches.is_new():
            self._ledger.distrust()

    def _take_alone(self, arrival: Arrival) -> Taken:
        """Return what became of a message that failed before: stored, else set aside, else at least noted."""
        step: Step = self._intake.take
        for next_way in (self._intake.set_aside, self._intake.keep_trace, None):
            taken, failed = self._take_batch([arrival], step)
            if not failed:
                return taken
            (error,) = failed.values()
            if next_way is not None:
                step = partial(next_way, error=error)
        raise StorageError(f"{self._data}: a message of {arrival.device} cannot even be set aside: {error!r}")

    def _take_batch(self, arrivals: Sequence[Arrival], step: Step) -> tuple[Taken, dict[Arrival, Exception]]:
        """Return what became of the messages, and the errors of those that must be tried again alone."""
        if len(arrivals) > 1 and self._one_by_one == 0:
            try:
                return self._take_together(arrivals, step, one_by_one=False)
            except BatchAtFault:
                self._one_by_one = ONE_BY_ONE
        self._batches.one_by_one = len(arrivals) > 1
        self._one_by_one = max(0, self._one_by_one - self._batches.one_by_one)
        try:
            return self._take_together(arrivals, step, one_by_one=True)
        except BatchAtFault:
            self._batches.one_by_one = True
            return self._take_together(arrivals, step, one_by_one=True)
        finally:
            self._batches.one_by_one = False

    def _take_together(
        self, arrivals: Sequence[Arrival], step: Step, *, one_by_one: bool
    ) -> tuple[Taken, dict[Arrival, Exception]]:
        """Return what `_take_batch` does. one_by_one: a message at fault is taken back alone, which costs the others.

        Raises:
            BatchAtFault: one of the messages is at fault, and which is not known: they are to be taken one by one.
        """
        taken = Taken()
        failed: dict[Arrival, Exception] = {}
        committing = False
        # Anew, before anything can fail: what an earlier batch made and committed must not be removed with this one.
        self._intake.album.begin_batch(sync_each=one_by_one)
        try:
            self._begin(arrivals)
            if one_by_one:
                for arrival in arrivals:
                    error = self._take_one(arrival, taken, step)
                    if error is not None:
                        failed[arrival] = error
            else:
                self._take_whole(arrivals, taken, step)
            self._intake.days.settle(self.days_a_batch)
            taken.alarms += self._intake.days.troubles
            self._intake.days.troubles.clear()
            self._sync_pictures()
            self._ledger.save()
            committing = True
            self._connection.execute("COMMIT")
            self._ledger.settle()
        except BatchAtFault:
            self._undo(keep_files=False)
            raise
        except Exception as error:
            self._undo(keep_files=committing)
            raise self._translated(error, f"store {len(arrivals)} messages") from error
        except BaseException:
            self._undo(keep_files=committing)
            raise
        return taken, failed

    def _sync_pictures(self) -> None:
        try:
            sync_pictures(self._data, self._intake.album.unsynced, self._intake.album.written)
        except OSError as error:
            if is_of_the_machine(error) or not self._intake.album.unsynced:
                raise
            raise BatchAtFault from error  # perhaps one device's folder, which costs that device's pictures only

    def _take_whole(self, arrivals: Sequence[Arrival], taken: Taken, step: Step) -> None:
        """Take messages none of which is at fault: without a savepoint and without copies for each of them."""
        try:
            for arrival in arrivals:
                stored = taken.stored
                step(arrival, taken)
                if arrival.stream == "thumbnail" and taken.stored > stored:
                    self._quota.end_trouble(arrival.device)
            self._ledger.check_message()
        except Exception as error:
            if is_of_the_station(error):
                raise
            raise BatchAtFault from error
        self._ledger.keep_message()

    def _take_one(self, arrival: Arrival, taken: Taken, step: Step) -> Exception | None:
        """Take one message whole or not at all; return the error that is its own."""
        own = Taken()
        self._connection.execute("SAVEPOINT message")
        self._intake.album.begin_message()
        try:
            step(arrival, own)
            self._ledger.check_message()
            self._connection.execute("RELEASE message")
        except OverQuota as over:
            self._take_back_message()
            self._refuse(arrival, over, taken)
            return None
        except FolderTrouble as trouble:
            self._take_back_message()
            self._leave_picture(arrival, trouble, taken)
            return None
        except Exception as error:
            if is_of_the_station(error):
                raise
            self._take_back_message()
            return error
        self._ledger.keep_message()
        if arrival.stream == "thumbnail" and own.stored:
            self._quota.end_trouble(arrival.device)
        taken.add(own)
        return None

    def _refuse(self, arrival: Arrival, over: OverQuota, taken: Taken) -> None:
        """Count a message that is not taken: nothing is accounted for, so its device keeps it."""
        times = self._quota.count_over(over.device, over.what, arrival.received_at)
        taken.refused += 1
        if is_worth_an_alarm(times):
            taken.alarms.append(
                f"QUOTA {arrival.device}: {over}: {times} messages not accounted for, their devices keep them; "
                f"find out what sends them, or raise quota.{over.what} in the station's settings"
            )

    def _leave_picture(self, arrival: Arrival, trouble: FolderTrouble, taken: Taken) -> None:
        """Count a picture whose folder cannot be written: nothing is accounted for, so its device keeps it."""
        times = self._quota.count_over(trouble.device, FOLDER, arrival.received_at)
        taken.refused += 1
        if is_worth_an_alarm(times):
            taken.alarms.append(f"PICTURES {trouble.device}: {trouble.what}: {times} not stored, the device keeps them")

    def _begin(self, arrivals: Sequence[Arrival]) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")  # what an earlier failure could not take back
        self._quota.begin()
        self._intake.days.begin()
        self._connection.execute("BEGIN IMMEDIATE")
        if self._batches.is_new():
            self._ledger.distrust()
        self._ledger.begin()
        heads = ((arrival.device, find_head(arrival)) for arrival in arrivals)
        self._batches.expect((device, head.epoch, head.seq) for device, head in heads if head is not None)

    def _take_back_message(self) -> None:
        if not self._connection.in_transaction:
            # SQLite gave the whole batch up: going on would commit the rest of it statement by statement.
            raise StorageError("the database ended the transaction by itself")
        self._connection.execute("ROLLBACK TO message")
        self._connection.execute("RELEASE message")
        self._ledger.drop_message()
        remove_pictures(self._data, self._intake.album.take_back_message())

    def _undo(self, *, keep_files: bool) -> None:
        """Take the batch back. keep_files: a commit was begun, and whether it went well is not known."""
        self._ledger.drop_batch()
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            return  # `_begin` tries again; the first error is the one to report
        if not keep_files:
            remove_pictures(self._data, self._intake.album.made)

    def _translated(self, error: Exception, doing: str) -> Exception:
        """Return the error that the caller must act on."""
        if isinstance(error, CageclockError):
            return error
        text = f"{self._data}: could not {doing}: {error or type(error).__name__}"
        if isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in (
            sqlite3.SQLITE_CORRUPT,
            sqlite3.SQLITE_NOTADB,
        ):
            return DatabaseDamaged(f"{self._data / schema.DATABASE}: {error}; move it aside")
        if "full" in str(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
            return DiskFull(text)
        return StorageError(text)


def is_of_the_station(error: Exception) -> bool:
    """Return whether an error says nothing about the message in hand: disk, memory, lock, connection, database."""
    if isinstance(error, sqlite3.Error):
        return not isinstance(error, _OF_THE_MESSAGE)
    return isinstance(error, (MemoryError, OSError, StorageError))
