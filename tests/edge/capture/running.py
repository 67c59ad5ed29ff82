"""`cageclock capture` as a child process, and what it left in the outbox: real processes, real files."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from tests.harness.child import REPOSITORY, Child, python

ROOT = REPOSITORY


def write_settings(folder: Path, camera: str = "", more: str = "", bundle: Path | None = None) -> Path:
    """Write the settings of a small simulated cage; `camera` continues its section, `more` the file."""
    state = folder / "state"
    chosen = "" if bundle is None else f"bundle: {{path: {bundle}, trusted_keys: [{bundle.with_suffix('.pub')}]}}\n"
    path = folder / "device.yaml"
    path.write_text(
        f"device_id: cage07\nstate_dir: {state}\ncage: {{id: cage07, subject: M1}}\n"
        "camera: {backend: simulated, width: 320, height: 240, small_width: 160, px_per_mm: 1.333"
        f"{', ' + camera if camera else ''}}}\n"
        f"{chosen}{more}"
    )
    return path


def start(settings: Path, *options: str, **environment: str) -> Child:
    """Start a capture process; standard output and standard error go to files of their own."""
    log = settings.parent / f"capture-{time.monotonic_ns()}.out"
    command = python("-m", "edge.cli", "capture", "--config", settings, *options)
    child = Child(command, log, errors=log.with_suffix(".err"), **environment)
    child.start()
    return child


def run(settings: Path, *options: str, **environment: str) -> tuple[int, str]:
    """Return exit code and standard error of a capture process that ends by itself."""
    child = start(settings, *options, **environment)
    try:
        return child.ended(), child.errors()
    finally:
        child.kill()


def end(child: Child) -> tuple[int, str]:
    """End a capture process as systemd does; return its exit code and its standard error."""
    return child.stop(), child.errors()


def records(settings: Path, kind: str = "") -> list[dict[str, Any]]:
    """Return the bodies of the outbox in sequence, each with its `seq`; only one kind, if named."""
    path = settings.parent / "state" / "outbox.db"
    if not path.exists():
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT seq, kind, body FROM records ORDER BY id").fetchall()
    except sqlite3.OperationalError:
        return []  # not yet made
    finally:
        connection.close()
    return [json.loads(body) | {"seq": seq} for seq, found, body in rows if kind in ("", found)]


def outcomes(settings: Path) -> list[str]:
    """Return the readings' outcomes in sequence."""
    return [reading["outcome"] for reading in records(settings, "reading")]


def events(settings: Path) -> list[str]:
    """Return the events' codes in sequence."""
    return [record["code"] for record in records(settings, "record") if "code" in record]
