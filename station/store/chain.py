"""How a device's epochs follow each other: what is missing at the end of one, and which card was copied.

Each start of a process begins an epoch. Its first record, and `info`, name the one before, that one's last number and a
start counter. An epoch that has ended sends nothing more, so that only its successor can say how far it went.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from edge.contract import identity
from edge.contract.base import MAX_SEQ
from edge.contract.record import Event
from edge.contract.status import MAX_EPOCHS_IN_INFO

REPAIRED: Final = ("damaged", "torn journal")
"""Reasons of epochs whose predecessor may already have another successor though no card was copied."""
_COPIED = (
    "FROM epochs e WHERE e.before != '' AND e.reason NOT IN ('damaged', 'torn journal') AND EXISTS ("
    "SELECT 1 FROM epochs o WHERE o.device = e.device AND o.before = e.before AND o.epoch != e.epoch "
    "AND o.reason NOT IN ('damaged', 'torn journal'))"
)


@dataclass(frozen=True, slots=True)
class EpochEntry:
    """What is known of one epoch. publisher and reason are "", starts is 0, where nobody has said it yet."""

    epoch: str
    publisher: str
    starts: int
    before: str
    before_last: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class InfoEpochs:
    """What a device's `info` says of its epochs: names in its order, links, the oldest that it holds."""

    named: tuple[str, ...] = ()
    links: tuple[EpochEntry, ...] = ()
    oldest: tuple[str, ...] = ()


class Chain:
    """The table `epochs`, within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, limit: int) -> None:
        """Keep at most `limit` epochs of a device."""
        self._connection, self._limit = connection, limit

    def note(self, device: str, link: EpochEntry) -> str:
        """Store what was said of an epoch; return a sentence where a card seems to have been copied, else ""."""
        earlier = self._get(device, link.epoch)
        if earlier is None:
            (known,) = self._connection.execute("SELECT count(*) FROM epochs WHERE device = ?", (device,)).fetchone()
            if known >= self._limit:
                return ""
        values = (device, link.epoch, link.publisher, link.starts, link.before, link.before_last, link.reason)
        self._connection.execute(
            "INSERT INTO epochs (device, epoch, publisher, starts, before, before_last, reason) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "publisher = CASE excluded.publisher WHEN '' THEN epochs.publisher ELSE excluded.publisher END, "
            "reason = CASE excluded.reason WHEN '' THEN epochs.reason ELSE excluded.reason END, "
            "starts = CASE WHEN epochs.starts > excluded.starts THEN epochs.starts ELSE excluded.starts END",
            values,
        )
        if link.before == "" or link.reason in ("", *REPAIRED) or (earlier is not None and earlier.reason):
            return ""
        other = self._connection.execute(
            "SELECT epoch FROM epochs WHERE device = ? AND before = ? AND epoch != ? "
            "AND reason NOT IN ('damaged', 'torn journal')",
            (device, link.before, link.epoch),
        ).fetchone()
        if other is None:
            return ""
        return (
            f"COPIED {device}: epochs {link.epoch[:8]} and {other[0][:8]} both go on after {link.before[:8]}: a copied "
            "card, or an older copy put back? Nothing is lost by it; give each card its own device_id"
        )

    def settled(self, device: str, epoch: str) -> bool:
        """Return whether the device is known to hold nothing of what came before an epoch."""
        found = self._connection.execute(
            "SELECT 1 FROM epochs WHERE device = ? AND before = ? AND settled = 1", (device, epoch)
        )
        return found.fetchone() is not None

    def gone_before(self, device: str, epoch: str) -> Iterator[tuple[str, int]]:
        """Yield each epoch before this one with its last number, as far back as nobody has looked yet.

        All of them are gone from the device, because this is its oldest one.
        """
        while True:
            link = self._get(device, epoch)
            if link is None or link.before == "":
                return
            changed = self._connection.execute(
                "UPDATE epochs SET settled = 1 WHERE device = ? AND epoch = ? AND settled = 0", (device, epoch)
            )
            if not changed.rowcount:
                return
            yield link.before, link.before_last
            epoch = link.before

    def _get(self, device: str, epoch: str) -> EpochEntry | None:
        found = self._connection.execute(
            "SELECT epoch, publisher, starts, before, before_last, reason FROM epochs WHERE device = ? AND epoch = ?",
            (device, epoch),
        ).fetchone()
        return None if found is None else EpochEntry(*found)


def entry_of(epoch: str, event: Event) -> EpochEntry | None:
    """Return what an epoch's first record says of it, None where it says nothing that can be used."""
    detail = event.detail
    before, last, starts = detail.get("before"), detail.get("last"), detail.get("starts", 0)
    if event.code != "epoch_begun" or not isinstance(before, str) or not identity.is_epoch(before):
        return None
    if not _is_number(last) or not _is_number(starts):
        return None
    return EpochEntry(epoch, "", int(starts or 0), before, int(last or 0), str(detail.get("reason") or "unknown")[:40])


def read_info(body: bytes) -> InfoEpochs:
    """Return what `info` says of epochs. Read leniently: a later version's may hold more than this one knows."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return InfoEpochs()
    if not isinstance(found, dict):
        return InfoEpochs()
    links = [link for one in _list(found.get("epochs"))[:MAX_EPOCHS_IN_INFO] if (link := _read_entry(one)) is not None]
    oldest = [one for one in _list(found.get("oldest_held"))[:2] if isinstance(one, str) and identity.is_epoch(one)]
    ordered = tuple(link for link in links if link.starts)
    return InfoEpochs(tuple(link.epoch for link in links), ordered, tuple(oldest))


def count_copied(connection: sqlite3.Connection, device: str) -> int:
    """Return how many epochs share their predecessor with another one."""
    return int(connection.execute(f"SELECT count(*) {_COPIED} AND e.device = ?", (device,)).fetchone()[0])


def find_copied(connection: sqlite3.Connection) -> list[tuple[str, float]]:
    """Return (device, Unix seconds) of the beginning of each epoch that shares its predecessor with another one."""
    query = (
        f"SELECT t.device, min(t.at_s) FROM timed_events t JOIN (SELECT e.device, e.epoch {_COPIED}) AS c USING "
        "(device, epoch) WHERE t.time_basis IN ('synchronised', 'corrected') GROUP BY t.device, t.epoch"
    )
    return [(device, at_s) for device, at_s in connection.execute(query).fetchall()]


def count_unseen(connection: sqlite3.Connection, device: str, oldest: str) -> int:
    """Return how many starts of capture before the oldest epoch that the device holds left no trace here."""
    found = connection.execute(
        "SELECT starts FROM epochs WHERE device = ? AND epoch = ? AND publisher = 'capture'", (device, oldest)
    ).fetchone()
    if found is None:
        return 0
    rows = connection.execute(
        "SELECT starts, before FROM epochs WHERE device = ? AND publisher != 'publish' AND starts BETWEEN 1 AND ?",
        (device, found[0]),
    ).fetchall()
    known: set[int] = {starts for starts, _ in rows} | {starts - 1 for starts, before in rows if before}
    last = int(found[0])
    return last - min(known, default=last) + 1 - len(known)


def _read_entry(one: Any) -> EpochEntry | None:
    if not isinstance(one, dict) or not isinstance(one.get("epoch"), str) or not identity.is_epoch(one["epoch"]):
        return None
    publisher, starts, before = one.get("publisher"), one.get("starts", 0), one.get("before", "")
    last = one.get("before_last", 0)
    if publisher not in ("capture", "publish") or not _is_number(starts) or not _is_number(last):
        return None
    sound = isinstance(before, str) and identity.is_epoch(before)
    return EpochEntry(one["epoch"], publisher, starts, before if sound else "", last if sound else 0)


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_SEQ


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
