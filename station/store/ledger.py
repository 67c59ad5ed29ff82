"""Which sequence numbers of each device are accounted for, kept in the database beside what they stand for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from heapq import nlargest

from edge.contract import jsontext
from edge.contract.committed import MAX_HOLES, MAX_MESSAGE_BYTES, Committed
from station.store.account import Account, read_account
from station.store.quota import Limits, OverQuota

MAX_EPOCHS = 64
"""How many of a device's sequences `committed` names because they came last, beside those that its `info` names."""
Key = tuple[str, str]
"""(device, epoch)"""
_COLUMNS = "records, thumbnails, lost, lost_thumbnails, received_at"


class Ledger:
    """All accounts in memory, in three layers: what is committed, this batch's copies, this message's copies.

    Only committed accounts are ever promised. What a message or a batch changed are copies, so that taking it back is
    to forget them, whatever else failed.
    """

    def __init__(self, connection: sqlite3.Connection, limits: Limits | None = None) -> None:
        """Read what the database holds."""
        self._connection = connection
        self._limits = limits or Limits()
        self._committed: dict[str, dict[str, Account]] = {}
        self._batch: dict[Key, Account] = {}
        self._message: dict[Key, Account] = {}
        self._stale = True
        self.begin()

    def begin(self) -> None:
        """Begin a batch: forget an unfinished one, and read again what the database holds where that is in question."""
        self.drop_batch()
        if self._stale:
            self._committed = self._read()
            self._stale = False

    def distrust(self) -> None:
        """Have the next batch read what the database holds: another server may have taken over."""
        self._stale = True

    def drop_batch(self) -> None:
        """Forget what the batch changed."""
        self._message, self._batch = {}, {}

    def drop_message(self) -> None:
        """Forget what the message changed."""
        self._message = {}

    def check_message(self) -> None:
        """Refuse what the message changed where it goes over a quota.

        Raises:
            OverQuota: an epoch's numbers fall into more unconnected ranges than before, and more than the quota allows.
        """
        for key, account in self._message.items():
            spans, earlier = account.spans(), self._earlier(key)
            if spans > self._limits.gaps and spans > (earlier.spans() if earlier is not None else 0):
                raise OverQuota(key[0], "gaps", self._limits.gaps)

    def keep_message(self) -> None:
        """Make the message's changes the batch's; a failure in here is the batch's, which is then dropped."""
        self._batch |= self._message
        self._message = {}

    def touch(self, device: str, epoch: str, received_at: float) -> Account:
        """Return the account to change.

        Raises:
            OverQuota: the epoch is a new one, and the device has as many as the quota allows.
        """
        key = (device, epoch)
        account = self._message.get(key)
        if account is None:
            earlier = self._earlier(key)
            if earlier is None and self._number_of(device) >= self._limits.epochs:
                raise OverQuota(device, "epochs", self._limits.epochs)
            account = Account() if earlier is None else earlier.copy()
            self._message[key] = account
        account.received_at = max(account.received_at, received_at)
        return account

    def find(self, device: str, epoch: str) -> Account | None:
        """Return the account to change, None where there is none."""
        if self._message.get((device, epoch)) is None and self._earlier((device, epoch)) is None:
            return None
        return self.touch(device, epoch, 0.0)

    def save(self) -> None:
        """Write the batch's accounts; the caller commits, and says so by `settle`."""
        rows = []
        for (device, epoch), account in self._batch.items():
            rows.append((device, epoch, *account.row()))
        self._connection.executemany(
            f"INSERT OR REPLACE INTO accounts (device, epoch, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
        )
        self._stale = True  # until it is known whether the commit went well, the database knows better

    def settle(self) -> None:
        """Take over the batch's accounts as committed."""
        for (device, epoch), account in self._batch.items():
            self._committed.setdefault(device, {})[epoch] = account
        self._batch = {}
        self._stale = False

    def devices(self) -> list[str]:
        """Return every device that ever sent something with an identity."""
        return sorted(self._committed)

    def committed(self, device: str, station_db: str, asked: Iterable[str] = ()) -> Committed:
        """Return the station's promise to the device: of the epochs that it names, and of those that came last.

        An epoch of which nothing is known is answered with nothing. With many holes fewer are named, so that the
        message keeps within its size: then what is promised ends before the first unnamed one.
        """
        if self._stale:
            self.begin()
        known = self._committed.get(device, {})
        newest = nlargest(MAX_EPOCHS, known.items(), key=lambda item: item[1].received_at)
        named = {epoch: known.get(epoch) or Account() for epoch in asked} | dict(newest)
        cap = MAX_HOLES
        while True:
            epochs = tuple(account.promise(epoch, cap) for epoch, account in sorted(named.items()))
            promise = Committed(station_db=station_db, epochs=epochs)
            if cap == 0 or len(jsontext.encode(promise)) <= MAX_MESSAGE_BYTES:
                return promise
            cap //= 4

    def _earlier(self, key: Key) -> Account | None:
        return self._batch.get(key) or self._committed.get(key[0], {}).get(key[1])

    def _number_of(self, device: str) -> int:
        known = self._committed.get(device, {})
        new = {epoch for of, epoch in (*self._batch, *self._message) if of == device and epoch not in known}
        return len(known) + len(new)

    def _read(self) -> dict[str, dict[str, Account]]:
        found: dict[str, dict[str, Account]] = {}
        for device, epoch, *row in self._connection.execute(
            f"SELECT device, epoch, {_COLUMNS} FROM accounts"
        ).fetchall():
            found.setdefault(device, {})[epoch] = read_account(tuple(row))
        return found
