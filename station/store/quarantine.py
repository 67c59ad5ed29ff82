"""What the store keeps beside its records: conflicting contents, and messages that cannot be read."""

from __future__ import annotations

import hashlib
import sqlite3

from station.store.message import Arrival, Unreadable, one_line
from station.store.quota import Quota, is_worth_an_alarm

_TAKEN_OUT = b""
"""The content of a row whose body went: over a quota."""
_KEPT = "WHERE device = ? AND epoch = ? AND seq = ? AND what = ? AND digest = ? AND length(content) > 0"


class Aside:
    """Writes the tables `conflicts` and `quarantine`, each content once however often it comes, within the quotas."""

    def __init__(self, connection: sqlite3.Connection, quota: Quota) -> None:
        """Use the caller's connection; the caller begins and ends the transaction."""
        self._connection = connection
        self._quota = quota

    def keep_conflict(
        self, arrival: Arrival, epoch: str, seq: int, what: str, digest: str, content: bytes
    ) -> list[str]:
        """Keep another content under a taken key; return sentences for a person."""
        key = (arrival.device, epoch, seq, what, digest)
        if not self._again("conflicts", "device = ? AND epoch = ? AND seq = ? AND what = ? AND digest = ?", key):
            content, alarms = self._within_quota(arrival, "conflicts", content)
            self._connection.execute(
                "INSERT INTO conflicts (device, epoch, seq, what, digest, content, received_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*key, content, arrival.received_at),
            )
            if not content:
                return alarms
        return [
            f"CONFLICT {arrival.device}: another {what} under {epoch[:8]}:{seq}; both are kept. "
            "Do two devices share one identity?"
        ]

    def find_conflict(self, device: str, epoch: str, seq: int, what: str, digest: str) -> bytes | None:
        """Return the kept content with this digest; None where there is none."""
        key = (device, epoch, seq, what, digest)
        found = self._connection.execute(f"SELECT content FROM conflicts {_KEPT}", key).fetchone()
        return None if found is None else bytes(found[0])

    def release_conflict(self, device: str, epoch: str, seq: int, what: str, digest: str, size: int) -> None:
        """Strike a kept content of `size` bytes from the conflicts."""
        self._connection.execute(f"DELETE FROM conflicts {_KEPT}", (device, epoch, seq, what, digest))
        self._quota.give_back(device, "conflicts", size)

    def keep_unreadable(self, arrival: Arrival, found: Unreadable) -> list[str]:
        """Keep a message in the quarantine; return sentences for a person."""
        head = found.head
        key = (arrival.device, arrival.stream, found.digest, head.epoch if head else "", head.seq if head else 0)
        name = f"{head.epoch[:8]}:{head.seq}" if head else "without identity"
        if not self._again("quarantine", "device = ? AND stream = ? AND digest = ? AND epoch = ? AND seq = ?", key):
            content, alarms = self._within_quota(arrival, "quarantine", found.keep)
            self._insert(key, found.reason, len(arrival.payload), content, arrival.received_at)
            if not content and found.keep:
                return alarms
        return [f"quarantined {arrival.device} {arrival.stream} {name}: {found.reason}"]

    def whole_after(self, rowid: int, most: int) -> list[tuple[int, Arrival]]:
        """Return the next messages of which all was kept, with their rows, in the order in which they came."""
        query = (
            "SELECT rowid, device, stream, content, received_at FROM quarantine "
            "WHERE rowid > ? AND stream != 'thumbnail' AND length(content) = bytes ORDER BY rowid LIMIT ?"
        )
        rows = self._connection.execute(query, (rowid, most)).fetchall()
        return [(row[0], Arrival(row[1], row[2], bytes(row[3]), row[4])) for row in rows]

    def release(self, rowid: int, arrival: Arrival) -> None:
        """Strike a message of `whole_after` from the quarantine."""
        self._connection.execute("DELETE FROM quarantine WHERE rowid = ?", (rowid,))
        self._quota.give_back(arrival.device, "quarantine", len(arrival.payload))

    def keep_trace(self, arrival: Arrival, epoch: str, seq: int, error: Exception) -> list[str]:
        """Keep the least that can be kept of a message: what can fail on a message's content is left out.

        The body stays where the quota allows; neither the reason nor the stream is taken from the message.
        """
        digest = hashlib.sha256(arrival.payload).hexdigest()
        reason = f"{type(error).__name__} while it was set aside"
        key = (arrival.device, "unknown", digest, epoch, seq)
        if not self._again("quarantine", "device = ? AND stream = ? AND digest = ? AND epoch = ? AND seq = ?", key):
            content, _ = self._within_quota(arrival, "quarantine", arrival.payload)
            self._insert(key, reason, len(arrival.payload), content, arrival.received_at)
        return [f"quarantined {arrival.device}: {reason}; please report this fault"]

    def _again(self, table: str, where: str, key: tuple[str | int, ...]) -> bool:
        return self._connection.execute(f"UPDATE {table} SET times = times + 1 WHERE {where}", key).rowcount > 0

    def _insert(self, key: tuple[str | int, ...], reason: str, size: int, content: bytes, received_at: float) -> None:
        self._connection.execute(
            "INSERT INTO quarantine (device, stream, digest, epoch, seq, reason, bytes, content, received_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, one_line(reason), size, content, received_at),
        )

    def _within_quota(self, arrival: Arrival, what: str, content: bytes) -> tuple[bytes, list[str]]:
        """Return what is kept of a body, and what a person must hear where it goes."""
        kept, over = self._quota.keeps_body(arrival.device, what, len(content), arrival.received_at)
        if kept:
            return content, []
        alarm = (
            f"QUOTA {arrival.device}: {what}: {over} came over the quota, of which only digest, head and reason are "
            f"kept; find out what sends them, or raise the station's quota"
        )
        return _TAKEN_OUT, [alarm] if is_worth_an_alarm(over) else []
