"""The disk of the station's folder: how full, how fast, and what retention removed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from station.page.database import DATABASE, page_database
from station.page.devices.samples import log_bytes
from station.page.read import NoLog, load_table, log
from station.page.web import Visit

FORECAST_S = 30 * 86400.0
LEAST_S = 2 * 86400.0
MOST_LINES = 100


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of retention's audit table. Times are aware UTC."""

    at: datetime
    who: str
    what: str
    kind: str
    older_than_days: int
    removed: int
    bytes: int
    devices: int


def show_storage(visit: Visit) -> Response:
    """Return how full the disk is, how long it lasts at the present rate, and what retention removed."""
    disk = shutil.disk_usage(visit.data)
    with page_database(visit.data) as connection:
        samples = [tuple(row) for row in connection.execute("SELECT at_s, free FROM disk ORDER BY at_s").fetchall()]
    page_bytes = (visit.data / DATABASE).stat().st_size
    removed: list[Removed] = []
    totals: tuple[Any, ...] = (0, 0)
    try:
        with log(visit.data) as connection:
            removed = load_removed(connection)
            row = connection.execute("SELECT coalesce(sum(records), 0), coalesce(sum(thumbnails), 0) FROM totals")
            totals = tuple(row.fetchone())
    except NoLog:
        pass
    return visit.answer(
        "storage.html",
        free=disk.free,
        total=disk.total,
        log_bytes=log_bytes(visit.data),
        page_bytes=page_bytes,
        records=totals[0],
        pictures=totals[1],
        a_day=bytes_a_day(samples),
        days_left=days_left(samples, disk.free),
        removed=removed,
        zone=load_table(visit.data)[1].lab,
    )


def bytes_a_day(samples: list[tuple[float, float]]) -> float | None:
    """Return by how many bytes a day the disk filled over the last 30 days, None before two days were seen.

    samples: (Unix seconds, free bytes), oldest first. From the first to the last: what was freed meanwhile counts.
    """
    recent = [one for one in samples if samples and one[0] >= samples[-1][0] - FORECAST_S]
    if len(recent) < 2 or recent[-1][0] - recent[0][0] < LEAST_S:
        return None
    return float(recent[0][1] - recent[-1][1]) / (recent[-1][0] - recent[0][0]) * 86400.0


def days_left(samples: list[tuple[float, float]], free: float) -> float | None:
    """Return how many days the free bytes last at that rate, None where it does not fill or nobody knows yet."""
    rate = bytes_a_day(samples)
    return None if rate is None or rate <= 0 else free / rate


def load_removed(connection: sqlite3.Connection) -> list[Removed]:
    """Return the newest lines of retention's audit table, the newest first; none where nothing was ever removed."""
    there = connection.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'retention_log'").fetchone()
    if there is None:
        return []
    rows = connection.execute(
        "SELECT ended_at, who, what, kind, older_than_days, removed, bytes, devices FROM retention_log "
        "ORDER BY id DESC LIMIT ?",
        (MOST_LINES,),
    ).fetchall()
    return [
        Removed(
            at=datetime.fromtimestamp(row["ended_at"], UTC),
            who=row["who"],
            what=row["what"],
            kind=row["kind"],
            older_than_days=row["older_than_days"],
            removed=row["removed"],
            bytes=row["bytes"],
            devices=len(json.loads(row["devices"])),
        )
        for row in rows
    ]
