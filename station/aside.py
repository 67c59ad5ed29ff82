"""What the store keeps beside its records: conflicting contents, and messages that cannot be read."""

from __future__ import annotations

import sqlite3

from station.message import Arrival, Unreadable


def keep_conflict(
    connection: sqlite3.Connection, arrival: Arrival, epoch: str, seq: int, what: str, digest: str, content: bytes
) -> str:
    """Keep another content under a taken key, once however often it comes; return a sentence for a person."""
    connection.execute(
        "INSERT INTO conflicts (device, epoch, seq, what, digest, content, received_at) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET times = times + 1",
        (arrival.device, epoch, seq, what, digest, content, arrival.received_at),
    )
    return (
        f"CONFLICT {arrival.device}: another {what} under {epoch[:8]}:{seq}; both are kept. "
        "Do two devices share one identity?"
    )


def release_conflict(
    connection: sqlite3.Connection, device: str, epoch: str, seq: int, what: str, digest: str
) -> bytes | None:
    """Return the kept content with this digest and strike it from the conflicts; None where there is none."""
    key = (device, epoch, seq, what, digest)
    where = "WHERE device = ? AND epoch = ? AND seq = ? AND what = ? AND digest = ?"
    found = connection.execute(f"SELECT content FROM conflicts {where}", key).fetchone()
    if found is None:
        return None
    connection.execute(f"DELETE FROM conflicts {where}", key)
    return bytes(found[0])


def keep_unreadable(connection: sqlite3.Connection, arrival: Arrival, found: Unreadable) -> str:
    """Keep a message in the quarantine, once however often it comes; return a sentence for a person."""
    head = found.head
    connection.execute(
        "INSERT INTO quarantine (device, stream, digest, epoch, seq, reason, bytes, content, received_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET times = times + 1",
        (
            arrival.device,
            arrival.stream,
            found.digest,
            head.epoch if head else "",
            head.seq if head else 0,
            found.reason[:2000],
            len(arrival.payload),
            found.keep,
            arrival.received_at,
        ),
    )
    name = f"{head.epoch[:8]}:{head.seq}" if head else "without identity"
    return f"quarantined {arrival.device} {arrival.stream} {name}: {found.reason}"
