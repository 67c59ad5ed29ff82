"""What devices said of themselves over time: a sample now and then, because the log keeps only each one's last word."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from station.page.database import page_database
from station.store import schema
from station.transaction import transaction

LOOK_EVERY_S = 60.0
SAMPLE_S = 600.0
"""Of one device: its health comes more often than anybody looks at it."""
FINE_S = 30 * 86400.0
COARSE_S = 6 * 3600.0
"""What is older than the first is kept once in the second: the hottest."""
DISK_S = 3600.0
THIN_S = 86400.0
_COLUMNS = (
    "device, at_s, temperature_c, disk_used, memory_bytes, waiting, quarantined, uptime_s, reconnects, recovered, "
    "dated_s, recovery, problems"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One device at one time, as it said itself. at_s: when the message came; None where it does not say.

    disk_used: fraction of its card; waiting: records that the station has not; recovered: sum of the counters of the
    camera's recovery ladder, which are in `recovery`; dated_s: how long before it came the message was dated, negative
    where after, seconds. problems: code -> advice.
    """

    device: str
    at_s: float
    temperature_c: float | None
    disk_used: float | None
    memory_bytes: float | None
    waiting: float | None
    quarantined: float | None
    uptime_s: float | None
    reconnects: float | None
    recovered: float | None
    dated_s: float | None
    recovery: Mapping[str, int]
    problems: Mapping[str, str]


class Sampler:
    """Keeps samples of all devices and of the station's disk. Of one thread."""

    def __init__(self, data: Path) -> None:
        """Nothing is kept yet."""
        self._data = data
        self._due_s = self._thin_due_s = 0.0
        self._kept: dict[str, float] = {}

    def look(self, log: sqlite3.Connection) -> None:
        """Keep what is due; nearly always nothing is."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + LOOK_EVERY_S
        states = log.execute(
            "SELECT device, what, body, received_at FROM device_state WHERE what IN ('health', 'info')"
        ).fetchall()
        with page_database(self._data) as connection:
            if not self._kept:
                newest = connection.execute("SELECT device, max(at_s) FROM health GROUP BY device").fetchall()
                self._kept = {str(device): float(at_s) for device, at_s in newest}
            samples = [
                sample
                for row in states
                if row["what"] == "health"
                and float(row["received_at"]) >= self._kept.get(row["device"], 0.0) + SAMPLE_S
                and (sample := read_sample(row["device"], row["body"], float(row["received_at"]))) is not None
            ]
            boards = [row for row in states if row["what"] == "info"]
            with transaction(connection):
                keep_samples(connection, samples)
                keep_boards(connection, boards)
                keep_disk(connection, self._data, time.time())
            self._kept |= {sample.device: sample.at_s for sample in samples}
            if time.monotonic() >= self._thin_due_s:
                self._thin_due_s = time.monotonic() + THIN_S
                with transaction(connection):
                    thin(connection, time.time())


def read_sample(device: str, body: Any, received_at: float) -> Sample | None:
    """Return what a message of health says, None where it says nothing; devices of other versions say less or more."""
    found = read_info(body)
    if not found:
        return None
    counters = _dict(found.get("recovery"))
    recovery = {str(key): int(n) for key, n in counters.items() if _number(n) is not None}
    problems, advice = _list(found.get("problems")), _list(found.get("advice"))
    return Sample(
        device,
        received_at,
        _number(found.get("cpu_temperature_c")),
        _number(found.get("disk_used_fraction")),
        _number(found.get("memory_available_bytes")),
        _number(found.get("outbox_unreleased")),
        _number(found.get("quarantined")),
        _number(found.get("uptime_s")),
        _number(found.get("reconnects")),
        float(sum(recovery.values())) if "recovery" in found else None,
        _dated(found.get("measured_at"), received_at),
        recovery,
        {str(code): str(said) for code, said in zip(problems, [*advice, *[""] * len(problems)], strict=False)},
    )


def _dict(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float | None:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18
    return float(value) if sound else None  # type: ignore[arg-type]


def _dated(value: object, received_at: float) -> float | None:
    try:
        at = datetime.fromisoformat(str(value))
        return received_at - at.timestamp() if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def keep_samples(connection: sqlite3.Connection, samples: list[Sample]) -> None:
    """Keep samples, in the caller's transaction."""
    rows = [
        (
            *(one.device, one.at_s, one.temperature_c, one.disk_used, one.memory_bytes, one.waiting, one.quarantined),
            *(one.uptime_s, one.reconnects, one.recovered, one.dated_s),
            *(json.dumps(one.recovery, sort_keys=True), json.dumps(one.problems, sort_keys=True)),
        )
        for one in samples
    ]
    connection.executemany(f"INSERT OR REPLACE INTO health ({_COLUMNS}) VALUES ({', '.join('?' * 13)})", rows)


def keep_boards(connection: sqlite3.Connection, infos: list[sqlite3.Row]) -> None:
    """Keep since when another board stands at a device's place, in the caller's transaction."""
    known = dict(
        connection.execute(
            "SELECT device, serial FROM boards b "
            "WHERE since_s = (SELECT max(since_s) FROM boards WHERE device = b.device)"
        ).fetchall()
    )
    for row in infos:
        said = read_info(row["body"])
        serial = str(said.get("serial") or "")[:128]
        if serial and known.get(row["device"]) != serial:
            machine = str(said.get("machine") or "")[:128]
            values = (row["device"], float(row["received_at"]), serial, machine)
            connection.execute("INSERT OR REPLACE INTO boards VALUES (?, ?, ?, ?)", values)


def keep_disk(connection: sqlite3.Connection, data: Path, now_s: float) -> None:
    """Keep how full the disk of the station's folder is, once an hour, in the caller's transaction."""
    (last,) = connection.execute("SELECT coalesce(max(at_s), 0) FROM disk").fetchone()
    if now_s - last < DISK_S:
        return
    found = shutil.disk_usage(data)
    row = (now_s, found.free, found.total, log_bytes(data))
    connection.execute("INSERT OR REPLACE INTO disk VALUES (?, ?, ?, ?)", row)


def log_bytes(data: Path) -> int:
    """Return how large the log's own files in the folder are; 0 where it lies on PostgreSQL."""
    total = 0
    for suffix in ("", "-wal"):
        try:
            total += os.stat(data / f"{schema.DATABASE}{suffix}").st_size
        except OSError:
            continue
    return total


def thin(connection: sqlite3.Connection, now_s: float) -> None:
    """Leave of what is old one sample in six hours, the hottest; in the caller's transaction."""
    connection.execute(
        "DELETE FROM health WHERE at_s < :old AND (device, at_s) NOT IN (SELECT device, at_s FROM (SELECT device, "
        "at_s, row_number() OVER (PARTITION BY device, CAST(at_s / :step AS INTEGER) "
        "ORDER BY temperature_c DESC, at_s) AS place FROM health WHERE at_s < :old) WHERE place = 1)",
        {"old": now_s - FINE_S, "step": COARSE_S},
    )


def load_samples(connection: sqlite3.Connection, device: str, since_s: float = 0.0) -> list[Sample]:
    """Return a device's samples, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM health WHERE device = ? AND at_s >= ? ORDER BY at_s", (device, since_s)
    ).fetchall()
    return [_sample(row) for row in rows]


def load_newest(connection: sqlite3.Connection) -> dict[str, Sample]:
    """Return the newest sample of each device."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM health h WHERE at_s = (SELECT max(at_s) FROM health WHERE device = h.device)"
    ).fetchall()
    return {row["device"]: _sample(row) for row in rows}


def read_info(body: Any) -> dict[str, Any]:
    """Return what a message of info says as plain values, {} where it cannot be read."""
    try:
        found = json.loads(bytes(body) if not isinstance(body, str) else body)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _sample(row: sqlite3.Row) -> Sample:
    values: dict[str, Any] = dict(row)
    return Sample(**values | {name: json.loads(values[name]) for name in ("recovery", "problems")})
