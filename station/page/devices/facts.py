"""What the log says of one device: which model since when, its clock, and how far its camera's view has moved."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from edge.contract import jsontext
from edge.contract.reading import Reading
from edge.errors import MessageError
from station.curves.model_names import ModelNames
from station.page.devices.samples import read_info
from station.store.body import unpack_body

VIEW_DAYS = 90
MOVED_PX = 6.0
"""As the device's default: beyond it a reading carries the flag `camera_moved`."""
MOST_MODELS = 50
CODES = (
    *("start", "gap", "camera_recovered", "camera_lost", "camera_moved", "camera_changed", "model_changed"),
    *("model_refused", "bundle_installed", "bundle_refused", "bundle_rolled_back", "config_changed", "disk_full"),
    *("disk_recovered", "restored_card", "clock_stepped", "watchdog", "memory_ceiling", "duplicate_client"),
)
"""Events of a device that a person wants to see; the others repeat what stands elsewhere."""


@dataclass(frozen=True, slots=True)
class ModelSpan:
    """A model of a device's readings: since when, by its digest, and what it calls itself."""

    since_s: float
    sha256: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class View:
    """What the quality gate measured in one reading of a day. shift_px: small-stream pixels from the reference view."""

    at_s: float
    shift_px: float | None
    mean_grey: float
    sharpness: float
    flagged: bool


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of the device. at_s: None where its clock was never set."""

    at_s: float | None
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Clock:
    """What is known of a device's clock. basis: of its newest reading. offset_s: the last correction, seconds."""

    basis: str
    offset_s: float | None
    uncertainty_s: float | None


def load_info(connection: sqlite3.Connection, device: str) -> dict[str, Any]:
    """Return what a device last said of itself: versions, board, camera, model; {} where it never did."""
    row = connection.execute("SELECT body FROM device_state WHERE device = ? AND what = 'info'", (device,)).fetchone()
    return {} if row is None else read_info(row["body"])


def load_models(connection: sqlite3.Connection, device: str) -> list[ModelSpan]:
    """Return which models a device's readings come from and since when, the newest first; read from the days."""
    names = ModelNames(connection)
    began: list[tuple[float, str]] = []
    rows = connection.execute(
        "SELECT models FROM days WHERE device = ? AND kind = 'place' ORDER BY first_s", (device,)
    ).fetchall()
    for at_s, digest in sorted(tuple(pair) for (models,) in rows for pair in json.loads(models)):
        present = names.present(device, str(digest)) or str(digest)
        if not began or began[-1][1] != present:
            began.append((float(at_s), present))
    return [_span(connection, device, at_s, digest) for at_s, digest in reversed(began[-MOST_MODELS:])]


def _span(connection: sqlite3.Connection, device: str, at_s: float, digest: str) -> ModelSpan:
    row = connection.execute(
        "SELECT model_name, model_version FROM readings WHERE device = ? AND captured_s >= ? AND model_sha256 = ? "
        "ORDER BY captured_s LIMIT 1",
        (device, at_s - 1.0, digest),
    ).fetchone()
    name, version = ("", "") if row is None else (row["model_name"] or "", row["model_version"] or "")
    return ModelSpan(at_s, digest, name, version)


def load_view(connection: sqlite3.Connection, device: str, days: int = VIEW_DAYS) -> list[View]:
    """Return what the camera saw once a day, oldest first: in the first reading of each day whose body says it."""
    row = connection.execute(
        "SELECT max(captured_s) FROM readings WHERE device = ? AND clock_synced = 1", (device,)
    ).fetchone()
    if row is None or row[0] is None:
        return []
    last = datetime.fromtimestamp(float(row[0]), UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    for back in range(days - 1, -1, -1):
        begin = (last - timedelta(days=back)).timestamp()
        keys = connection.execute(
            "SELECT epoch, seq, captured_s, quality_flags FROM readings WHERE device = ? AND captured_s >= ? "
            "AND captured_s < ? AND clock_synced = 1 AND outcome != 'camera_fault' ORDER BY captured_s LIMIT 3",
            (device, begin, begin + 86400.0),
        ).fetchall()
        view = next((one for key in keys if (one := _view(connection, device, key)) is not None), None)
        if view is not None:
            found.append(view)
    return found


def _view(connection: sqlite3.Connection, device: str, key: sqlite3.Row) -> View | None:
    row = connection.execute(
        "SELECT body FROM records WHERE device = ? AND epoch = ? AND seq = ?", (device, key["epoch"], key["seq"])
    ).fetchone()
    try:
        said = jsontext.decode(unpack_body(row["body"]), Reading) if row is not None else None
    except (MessageError, ValueError):
        return None  # retention has removed it, or it cannot be read
    if said is None or said.quality is None:
        return None
    quality = said.quality
    flagged = "camera_moved" in str(key["quality_flags"]).split()
    return View(float(key["captured_s"]), quality.reference_shift_px, quality.mean_grey, quality.sharpness, flagged)


def load_happenings(connection: sqlite3.Connection, device: str, most: int = 100) -> list[Happening]:
    """Return the newest events of a device that a person wants to see, the newest first."""
    marks = ", ".join("?" * len(CODES))
    rows = connection.execute(
        f"SELECT at_s, time_basis, code, text FROM timed_events WHERE device = ? AND code IN ({marks}) "
        "ORDER BY at_s DESC LIMIT ?",
        (device, *CODES, most),
    ).fetchall()
    return [
        Happening(None if row["time_basis"] == "unsynchronised" else float(row["at_s"]), row["code"], row["text"])
        for row in rows
    ]


def load_clock(connection: sqlite3.Connection, device: str) -> Clock | None:
    """Return what is known of a device's clock, None before its first reading."""
    row = connection.execute(
        "SELECT time_basis FROM timed_readings WHERE device = ? ORDER BY captured_s DESC LIMIT 1", (device,)
    ).fetchone()
    if row is None:
        return None
    last = connection.execute(
        "SELECT c.offset_s, c.uncertainty_s FROM clock_corrections c LEFT JOIN epochs e USING (device, epoch) "
        "WHERE c.device = ? ORDER BY coalesce(e.starts, 0) DESC, c.seq DESC LIMIT 1",
        (device,),
    ).fetchone()
    return Clock(row["time_basis"], *((None, None) if last is None else (last["offset_s"], last["uncertainty_s"])))


def describe_view(views: Sequence[View]) -> tuple[View, View] | None:
    """Return the first and the newest day that say how far the view has moved, None where fewer than two do."""
    known = [one for one in views if one.shift_px is not None]
    return (known[0], known[-1]) if len(known) > 1 else None
