"""What the station holds and what needs a person, device by device."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.contract.ranges import RangeSet
from station.ledger import missing


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device. holes: numbers below the highest seen that are not accounted for (still to come).

    availability: what it or its last will said; problems: codes of its newest health record.
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

    @property
    def needs_a_person(self) -> bool:
        """Whether something happened that no program can put right."""
        return bool(self.conflicts or self.quarantined or self.lost)


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
            f"{status.device:<20} {status.availability:<8} {last:<25} {status.records:>8} {status.thumbnails:>8} "
            f"{status.holes:>7} {status.lost:>6} {status.conflicts:>9} {status.quarantined:>10}  "
            f"{' '.join(status.problems)}".rstrip()
        )
    if any(status.needs_a_person for status in found):
        lines.append("lost, conflicts or quarantine: look at the tables losses, conflicts and quarantine in station.db")
    return "\n".join(lines)


def _status(connection: sqlite3.Connection, device: str) -> DeviceStatus:
    def number(sql: str) -> int:
        return int(connection.execute(sql, (device,)).fetchone()[0])

    accounts = connection.execute("SELECT records FROM accounts WHERE device = ?", (device,)).fetchall()
    holes = 0
    for (text,) in accounts:
        numbers = RangeSet(json.loads(text))
        holes += sum(last - first + 1 for first, last in missing(numbers, 1, numbers.highest))
    last = connection.execute(
        "SELECT at_s, outcome FROM timed_readings WHERE device = ? ORDER BY at_s DESC LIMIT 1", (device,)
    ).fetchone()
    states = dict(connection.execute("SELECT what, body FROM device_state WHERE device = ?", (device,)).fetchall())
    return DeviceStatus(
        device=device,
        availability=bytes(states.get("availability", b"-")).decode(errors="replace")[:8],
        last_reading_at=datetime.fromtimestamp(last[0], UTC) if last else None,
        last_outcome=last[1] if last else None,
        records=number("SELECT count(*) FROM records WHERE device = ?"),
        thumbnails=number("SELECT count(*) FROM thumbnails WHERE device = ?"),
        holes=holes,
        lost=_lost(connection, device),
        conflicts=number("SELECT count(*) FROM conflicts WHERE device = ?"),
        quarantined=number("SELECT count(*) FROM quarantine WHERE device = ?"),
        problems=_problems(states.get("health")),
    )


def _lost(connection: sqlite3.Connection, device: str) -> int:
    """Return how many records are gone: named as lost, and never stored all the same."""
    by_epoch: dict[str, RangeSet] = {}
    rows = connection.execute(
        "SELECT epoch, first_seq, last_seq FROM losses WHERE device = ? AND what = 'record'", (device,)
    ).fetchall()
    for epoch, first, last in rows:
        by_epoch.setdefault(epoch, RangeSet()).add(first, last)
    lost = sum(len(numbers) for numbers in by_epoch.values())
    for epoch, numbers in by_epoch.items():
        for first, last in numbers:
            (stored,) = connection.execute(
                "SELECT count(*) FROM records WHERE device = ? AND epoch = ? AND seq BETWEEN ? AND ?",
                (device, epoch, first, last),
            ).fetchone()
            lost -= int(stored)
    return lost


def _problems(health: bytes | None) -> tuple[str, ...]:
    try:
        found = json.loads(health or b"{}").get("problems", [])
        return tuple(str(code)[:40] for code in found)
    except (ValueError, AttributeError, TypeError):
        return ("unreadable_health",)


def _ago(at: datetime, now: datetime) -> str:
    seconds = (now - at).total_seconds()
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{max(0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
