"""What a person at the lab's server waits for: `status` and `show` on a database that the real insert path has made."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from benchmarks.station_ingest import _body
from benchmarks.table import Row
from edge.contract import jsontext
from edge.contract.identity import Head, join
from edge.contract.reading import Reading
from station.store.message import Arrival
from station.store.store import Store

READINGS = int(os.environ.get("CAGECLOCK_BENCH_READINGS", "20000"))
CAGES = 50
BATCH = 500
START = datetime(2026, 1, 1, tzinfo=UTC)
COMMANDS = {
    "status": ["status"],
    f"show, {CAGES} animals": ["show", "--by", "day"],
    "show, one animal": ["show", "--by", "day", "--subject", "M7"],
}


def rows() -> list[Row]:
    """Return the bytes a reading takes, the rate at which it was stored, and what each command takes."""
    kept = os.environ.get("CAGECLOCK_BENCH_FOLDER")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(kept) if kept else Path(name)
        found = [] if (folder / "station.db").exists() else [_build(folder)]
        size = sum(path.stat().st_size for path in folder.glob("station.db*"))
        found.append(
            Row("database", f"{size / READINGS:,.0f} bytes a reading", remark=f"{READINGS:,} readings, all tables")
        )
        commands = COMMANDS | {f"export of {READINGS:,} readings": ["export", "--out", f"{folder}/export"]}
        return found + [_command(label, words, folder) for label, words in commands.items()]


def _build(folder: Path) -> Row:
    chance, spent_s = random.Random(1), 0.0
    template = jsontext.decode(_body(1), Reading)
    each = READINGS // CAGES
    with closing(Store.open(folder)) as store:
        for first in range(0, each, BATCH):
            for cage in range(CAGES):
                batch = [_arrival(template, cage, n, each, chance) for n in range(first, min(first + BATCH, each))]
                began = time.process_time()
                store.take(batch)
                spent_s += time.process_time() - began
    return Row("store", f"{spent_s / READINGS * 1e6:,.0f} us of CPU a reading", remark=f"batches of {BATCH}, FULL")


def _arrival(template: Reading, cage: int, number: int, each: int, chance: random.Random) -> Arrival:
    """Return one of a cage's readings, spread over two years, with numbers that no dictionary foresees."""
    [animal] = template.animals
    estimate = animal.estimate
    assert estimate is not None
    age = 60.0 + 700.0 * number / each + chance.gauss(0, 20)
    estimate = msgspec.structs.replace(
        estimate,
        age_days=age,
        interval_low_days=age - 40,
        interval_high_days=age + 40,
        distribution=tuple(round(chance.random() / 20, 4) for _ in estimate.distribution),
        embedding=tuple(round(chance.gauss(0, 1), 3) for _ in estimate.embedding),
    )
    reading = msgspec.structs.replace(
        template,
        device_id=f"cage-{cage}",
        cage_id=f"cage-{cage}",
        captured_at=START + timedelta(days=730.0 * number / each),
        monotonic_s=float(number),
        age_days=age,
        animals=(msgspec.structs.replace(animal, subject=f"M{cage}", age_days=age, estimate=estimate),),
    )
    payload = join(Head(f"{cage:032x}", number + 1, 1, False), jsontext.encode(reading))
    return Arrival(f"cage-{cage}", "reading", payload, reading.captured_at.timestamp())


def _command(label: str, words: list[str], folder: Path) -> Row:
    command = [sys.executable, "-m", "station.cli", *words, "--data", str(folder)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    elapsed_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Row(label, f"{cpu_s:.2f} s of CPU", remark=f"{elapsed_s:.2f} s, highest so far {after.ru_maxrss // 1024} MB")
