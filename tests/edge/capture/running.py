"""`cageclock capture` as a child process, and what it left in the outbox: real processes, real files."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


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


def start(settings: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Start a capture process."""
    command = [sys.executable, "-m", "edge.cli", "capture", "--config", str(settings), *options]
    variables = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.Popen(command, cwd=ROOT, env=variables, text=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE)


def run(settings: Path, *options: str, **environment: str) -> tuple[int, str]:
    """Return exit code and standard error of a capture process that ends by itself."""
    process = start(settings, *options, **environment)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


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


def cpu_s(process: subprocess.Popen[str]) -> float:
    """Return the seconds of CPU that a running process has used: a busy machine changes them less than the clock's."""
    ticks = (Path("/proc") / str(process.pid) / "stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
