"""Resident memory of `capture` and `publish`, cold start to the first durable reading, bytes written per reading.

The camera is a folder of 640x480 pictures (replay), so that the simulator's own memory and time do not count. The
schedule is stepped: captures follow each other at once.
"""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import yaml

from benchmarks.table import Row
from edge.demo.broker import start_broker
from edge.demo.children import Children
from edge.simulate import CageSetup, SimulatedCage, create_population

CAPTURES = 60
STARTS = 5


def rows() -> list[Row]:
    """Return the rows of this section; every figure is of child processes."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name, Children(Path(name) / "logs") as children:
        folder = Path(name)
        _make_pictures(folder / "pictures")
        broker = start_broker(children, folder / "broker")
        starts = [_cold_start(_settings(folder, f"start{number}", broker.port)) for number in range(STARTS)]
        config = _settings(folder, "bench", broker.port)
        capture_mb, written = _run_capture(config, CAPTURES)
        publish_mb = _publish_memory(config)
    return [
        Row("resident memory of capture", f"{capture_mb:.0f} MB", f"{capture_mb / 110:.2f}", "to the limit of 110 MB"),
        Row("resident memory of publish", f"{publish_mb:.0f} MB", f"{publish_mb / 40:.2f}", "to the limit of 40 MB"),
        Row(
            "process start to first durable reading",
            f"{statistics.median(starts):.2f} s",
            f"{statistics.median(starts) / 1.5:.2f}",
            f"to the limit of 1.5 s; median of {STARTS}",
        ),
        Row(
            "written to disk per reading",
            f"{written / 1000:.1f} kB",
            "",
            f"mean of {CAPTURES}, thumbnail and WAL included",
        ),
    ]


def _make_pictures(folder: Path) -> None:
    from edge.vision.image import write_image

    folder.mkdir()
    animals = create_population(7, 1, born_from=datetime(2025, 1, 1).date(), born_until=datetime(2025, 2, 1).date())
    cage = SimulatedCage("bench", animals, CageSetup.from_seed(7, width_px=640, height_px=480, px_per_mm=2.667))
    for number in range(12):
        at = datetime(2025, 9, 1, 18, number, tzinfo=UTC)
        frame = cage.photograph(at=at, light="infrared", zeitgeber_h=14.0, seed=number)
        write_image(folder / f"{number:03d}.png", frame.image)


def _settings(folder: Path, name: str, port: int) -> Path:
    path = folder / f"{name}.yaml"
    settings = {
        "device_id": name,
        "state_dir": str(folder / f"{name}-state"),
        "cage": {"id": name, "subject": "BENCH1", "strain": "C57BL/6J"},
        "camera": {
            "backend": "replay",
            "width": 640,
            "height": 480,
            "px_per_mm": 2.667,
            "replay": {"path": str(folder / "pictures"), "loop": True},
        },
        "schedule": {"interval_light_s": 60.0, "interval_dark_s": 60.0, "phase_offset_s": 0.0},
        "mqtt": {"host": "127.0.0.1", "port": port, "station": "bench"},
    }
    path.write_text(yaml.safe_dump(settings))
    return path


def _capture(config: Path, captures: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "edge.cli",
        "capture",
        "--config",
        str(config),
        "--stepped",
        "--captures",
        str(captures),
    ]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _cold_start(config: Path) -> float:
    """Return the seconds from the start of the process until a reading stands in the outbox."""
    outbox = Path(yaml.safe_load(config.read_text())["state_dir"]) / "outbox.db"
    begin = time.monotonic()
    process = _capture(config, 1)
    while not _has_reading(outbox):
        if process.poll() not in (None, 0) or time.monotonic() - begin > 20:
            raise RuntimeError(f"capture ended with {process.poll()}: {process.communicate()[1].decode()[-300:]}")
        time.sleep(0.005)
    elapsed = time.monotonic() - begin
    process.communicate()
    return elapsed


def _has_reading(outbox: Path) -> bool:
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as database,
    ):
        query = "SELECT count(*) FROM records WHERE kind = 'reading'"
        return bool(database.execute(query).fetchone()[0])
    return False


def _run_capture(config: Path, captures: int) -> tuple[float, float]:
    """Return (peak resident MB, bytes written to disk per reading)."""
    process = _capture(config, captures)
    resident, written = 0.0, 0
    for status in _samples(process):
        resident, written = max(resident, status[0]), max(written, status[1])
    if process.returncode:
        raise RuntimeError(f"capture ended with {process.returncode}: {process.communicate()[1].decode()[-300:]}")
    return resident, written / captures


def _publish_memory(config: Path) -> float:
    """Return the peak resident MB of ten seconds with a backlog to send."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "publish", "--config", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 10
        resident = 0.0
        for sample in _samples(process):
            resident = max(resident, sample[0])
            if time.monotonic() > deadline:
                break
        return resident
    finally:
        process.terminate()
        process.wait(20)


def _samples(process: subprocess.Popen[bytes]) -> Iterator[tuple[float, int]]:
    """Yield (peak resident MB, bytes written) of a running process until it ends."""
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
            io = Path(f"/proc/{process.pid}/io").read_text().splitlines()
            yield peak / 1024, next(int(line.split()[1]) for line in io if line.startswith("write_bytes"))
        time.sleep(0.01)
