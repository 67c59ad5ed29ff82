"""What the station holds and what needs a person, device by device."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.contract import jsontext
from edge.contract.ranges import RangeSet
from edge.errors import MessageError
from station.store.chain import count_copied, count_unseen, read_info
from station.store.ledger import read_ranges

_MOST_PROBLEMS = 40


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device. holes: numbers below the highest seen that are not accounted for (still to come).

    availability: what it or its last will said; problems: codes of its newest health record. copied: epochs that go on
    after the same one as another; unseen: starts before the oldest epoch that it holds, of which nothing is known here.
    """

    device: str
    availability: str
    last_reading_at: datetime | None
    last_outcome: str | None
    records: int
    thumbnails: int
    holes: int
    lost: int
    conflicts: int
    quarantined: int
    problems: tuple[str, ...]
    copied: int = 0
    unseen: int = 0

    @property
    def needs_a_person(self) -> bool:
        """Whether something happened that no program can put right."""
        return bool(self.conflicts or self.quarantined or self.lost or self.copied or self.unseen)


def load_status(connection: sqlite3.Connection) -> list[DeviceStatus]:
    """Return every device of which anything is known, in order."""
    tables = ("accounts", "quarantine", "conflicts", "device_state", "records")
    union = " UNION ".join(f"SELECT device FROM {table}" for table in tables)
    return [_status(connection, row[0]) for row in connection.execute(f"{union} ORDER BY 1").fetchall()]


def draw_status(found: Sequence[DeviceStatus], now: datetime) -> str:
    """Return the table for a terminal."""
    if not found:
        return "no device was heard of yet"
    header = (
        f"{'device':<20} {'says':<8} {'last reading':<25} {'records':>8} {'pictures':>8} {'to come':>7} {'lost':>6} "
        f"{'conflicts':>9} {'quarantine':>10}  problems"
    )
    lines = [header]
    for status in found:
        last = "-"
        if status.last_reading_at is not None:
            last = f"{status.last_reading_at:%Y-%m-%d %H:%M} ({_ago(status.last_reading_at, now)})"
        lines.append(
            f"{printed(status.device):<20} {status.availability:<8} {last:<25} {status.records:>8} "
            f"{status.thumbnails:>8} {status.holes:>7} {status.lost:>6} {status.conflicts:>9} "
            f"{status.quarantined:>10}  {' '.join(status.problems)}".rstrip()
        )
    for status in found:
        if status.copied:
            lines.append(
                f"{printed(status.device)}: {status.copied} epochs go on after the same one as another: a copied card, "
                "or an older copy put back? Nothing is lost by it; give each card its own device_id"
            )
        if status.unseen:
            lines.append(
                f"{printed(status.device)}: {status.unseen} starts of which nothing came here, and which the device no "
                "longer holds; another station may have them"
            )
    if any(status.conflicts or status.quarantined or status.lost for status in found):
        lines.append("lost, conflicts or quarantine: look at the tables losses, conflicts and quarantine in station.db")
    return "\n".join(lines)


def _status(connection: sqlite3.Connection, device: str) -> DeviceStatus:
    def number(sql: str) -> int:
        return int(connection.execute(sql, (device,)).fetchone()[0])

    accounts = connection.execute("SELECT records FROM accounts WHERE device = ?", (device,)).fetchall()
    holes = 0
    for (text,) in accounts:
        numbers = read_ranges(text)
        holes += numbers.highest - numbers.count()
    last = connection.execute(
        "SELECT at_s, outcome FROM timed_readings WHERE device = ? ORDER BY at_s DESC LIMIT 1", (device,)
    ).fetchone()
    states = dict(connection.execute("SELECT what, body FROM device_state WHERE device = ?", (device,)).fetchall())
    return DeviceStatus(
        device=device,
        availability=printed(_bytes(states.get("availability", b"-")).decode(errors="replace"))[:8],
        last_reading_at=datetime.fromtimestamp(last[0], UTC) if last else None,
        last_outcome=last[1] if last else None,
        records=number("SELECT count(*) FROM records WHERE device = ?"),
        thumbnails=number("SELECT count(*) FROM thumbnails WHERE device = ?"),
        holes=holes,
        lost=_lost(connection, device),
        conflicts=number("SELECT count(*) FROM conflicts WHERE device = ?"),
        quarantined=number("SELECT count(*) FROM quarantine WHERE device = ?"),
        problems=_problems(_bytes(states.get("health", b"{}"))),
        copied=count_copied(connection, device),
        unseen=sum(
            count_unseen(connection, device, epoch) for epoch in read_info(_bytes(states.get("info", b"{}"))).oldest
        ),
    )


def _lost(connection: sqlite3.Connection, device: str) -> int:
    """Return how many records are gone: named as lost, and never stored all the same."""
    by_epoch: dict[str, RangeSet] = {}
    rows = connection.execute(
        "SELECT epoch, first_seq, last_seq FROM losses WHERE device = ? AND what = 'record'", (device,)
    ).fetchall()
    for epoch, first, last in rows:
        by_epoch.setdefault(epoch, RangeSet()).add(first, last)
    lost = sum(numbers.count() for numbers in by_epoch.values())
    for epoch, numbers in by_epoch.items():
        for first, last in numbers:
            (stored,) = connection.execute(
                "SELECT count(*) FROM records WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ?",
                (device, epoch, first, last),
            ).fetchone()
            lost -= int(stored)
    return lost


def _problems(health: bytes) -> tuple[str, ...]:
    """Return the codes; read leniently, as a later version's health may hold more than this one knows."""
    try:
        found = jsontext.parse(health).get("problems", [])
        return tuple(printed(str(code))[:40] for code in found)[:_MOST_PROBLEMS]
    except (MessageError, AttributeError, TypeError):
        return ("unreadable_health",)


def _bytes(value: object) -> bytes:
    """Return what stands in a column that an earlier version, or a person, may have filled with something else."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


def printed(text: str) -> str:
    """Return a text in which nothing steers a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _ago(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
