"""Which sequence numbers of each device are accounted for, kept in the database beside what they stand for."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field

from edge.contract.delivery import MAX_HOLES, Committed, CommittedEpoch
from edge.contract.ranges import RangeSet

MAX_EPOCHS = 16
"""A device's newest sequences that `committed` names; an older one comes back when the device sends from it."""


@dataclass(slots=True)
class Account:
    """One sequence: the numbers whose record, and whose thumbnail, is accounted for."""

    records: RangeSet = field(default_factory=RangeSet)
    thumbnails: RangeSet = field(default_factory=RangeSet)
    received_at: float = 0.0


class Ledger:
    """All accounts in memory, saved inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read what the database holds."""
        self._connection = connection
        self._accounts: dict[str, dict[str, Account]] = {}
        self._touched: set[tuple[str, str]] = set()
        self.reload()

    def reload(self) -> None:
        """Forget what was not committed."""
        self._accounts.clear()
        self._touched.clear()
        rows = self._connection.execute("SELECT device, epoch, records, thumbnails, received_at FROM accounts")
        for device, epoch, records, thumbnails, received_at in rows.fetchall():
            account = Account(RangeSet(json.loads(records)), RangeSet(json.loads(thumbnails)), received_at)
            self._accounts.setdefault(device, {})[epoch] = account

    def touch(self, device: str, epoch: str, received_at: float) -> Account:
        """Return the account to change; `save` writes it."""
        account = self._accounts.setdefault(device, {}).setdefault(epoch, Account())
        account.received_at = max(account.received_at, received_at)
        self._touched.add((device, epoch))
        return account

    def save(self) -> None:
        """Write every touched account; the caller commits."""
        rows = []
        for device, epoch in self._touched:
            account = self._accounts[device][epoch]
            records, thumbnails = json.dumps(list(account.records)), json.dumps(list(account.thumbnails))
            rows.append((device, epoch, records, thumbnails, account.received_at))
        self._connection.executemany("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)", rows)
        self._touched.clear()

    def devices(self) -> list[str]:
        """Return every device that ever sent something with an identity."""
        return sorted(self._accounts)

    def accounts(self, device: str) -> dict[str, Account]:
        """Return the device's accounts by epoch."""
        return self._accounts.get(device, {})

    def committed(self, device: str, station_db: str) -> Committed:
        """Return the station's promise to the device."""
        newest = sorted(self.accounts(device).items(), key=lambda item: item[1].received_at, reverse=True)
        epochs = []
        for epoch, account in sorted(newest[:MAX_EPOCHS]):
            through, holes = account.records.watermark(MAX_HOLES)
            thumbnails_through, thumbnail_holes = account.thumbnails.watermark(MAX_HOLES)
            epochs.append(
                CommittedEpoch(
                    epoch=epoch,
                    through=through,
                    holes=holes,
                    thumbnails_through=thumbnails_through,
                    thumbnail_holes=thumbnail_holes,
                )
            )
        return Committed(station_db=station_db, epochs=tuple(epochs))


def missing(numbers: RangeSet, first: int, last: int) -> list[tuple[int, int]]:
    """Return the ranges of first..last that are not in the set."""
    found = []
    start = first
    for low, high in numbers:
        if high < start:
            continue
        if low > last:
            break
        if low > start:
            found.append((start, low - 1))
        start = high + 1
    if start <= last:
        found.append((start, last))
    return found
