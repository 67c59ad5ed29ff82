"""Simulated months: the real capture and outbox under virtual time and random faults of every kind.

    python -m tests.campaigns.months --seed S --budget SEEDS [--ledger FILE]

One seed is thirty days of one device: kills between and inside appends, power cuts with a clock that starts anywhere
within twenty years and is synchronised soon, late or never, steps of the wall clock, camera faults in episodes, damaged
databases. The law: within a boot every due slot has exactly one reading or is counted by a `gap` record; what lies
between two boots is told by one. Nothing is doubled, and the wrong labels of a boot are corrected at most once.
"""

from __future__ import annotations

import hashlib
import json
import random
import resource
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge.capture.run import Capture
from edge.config.load import parse_config
from edge.config.tree import Config
from edge.outbox import Outbox
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.campaigns.world import DAY_S, ChaosCamera, Killed, Off, VirtualClock, World

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "data" / "tiny.bundle"
DAYS = 30
DISK_LIMIT_MB = 60.0


@dataclass
class Seen:
    """All records of the device, as a station would have them: by identity."""

    records: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)

    def collect(self, path: Path, seed: int) -> None:
        """Take in what the file holds now.

        Raises:
            Fault: a record has changed.
        """
        if not path.exists():
            return
        with closing(sqlite3.connect(path)) as connection:
            connection.text_factory = bytes
            try:
                rows = connection.execute("SELECT epoch, seq, body, digest FROM records ORDER BY id").fetchall()
            except sqlite3.DatabaseError:
                return  # damaged, and not noticed yet: what can be saved is seen later
        for named, seq, body, digest in rows:
            if hashlib.sha256(body).hexdigest().encode() != digest:
                continue  # damaged where it lay, and never sent: it was seen before
            record, epoch = json.loads(body), named.decode()
            known = self.records.get((epoch, seq))
            if known is None:
                self.records[epoch, seq] = record
            elif known != record:
                raise Fault(seed, f"record {epoch[:8]}:{seq} has changed")


def settings(folder: Path, interval_s: float) -> Config:
    """Return the device's settings."""
    return parse_config(
        f"device_id: cage07\nstate_dir: {folder}\ncage: {{id: c7, subject: m1}}\n"
        "camera: {backend: simulated, width: 64, height: 64, small_width: 64}\n"
        f"schedule: {{interval_light_s: {interval_s}, interval_dark_s: {interval_s}, phase_offset_s: 7}}\n"
        f"bundle: {{path: {TINY}, trusted_keys: [{TINY.with_suffix('.pub')}]}}\n"
        "outbox: {max_mb: 50}\nthumbnail: {width: 64}\n"
    )


def one_life(world: World, config: Config, folder: Path) -> tuple[bool, int | None]:
    """Run one process until it ends; return whether the power went, and its exit code where it ended by itself."""
    chance = world.chance

    def step(_name: str) -> None:
        if chance.random() < 2e-4:
            world.count("kills inside an append")
            world.die()

    clock = VirtualClock(world)
    outbox = Outbox.open(folder, config.outbox, device_id="cage07", serial="board-1", clock=clock, step=step)
    clock.settle = lambda: _finish_check(outbox)
    try:
        return False, Capture(config, clock, outbox, folder, None, ChaosCamera(world)).run(None)
    except Off:
        return True, None
    except Killed:
        world.count("kills")
        return False, None
    finally:
        outbox.close()


def _finish_check(outbox: Outbox) -> None:
    """Let the check beside the captures end before time goes on, so that a seed is the same month each time."""
    check = outbox._check
    while check is not None and not check.finished():
        time.sleep(0.0005)


def damage(folder: Path, world: World) -> None:
    """Overwrite some bytes of the outbox, or tear its end off."""
    path = folder / "outbox.db"
    for name in ("outbox.db-wal", "outbox.db-shm"):
        (folder / name).unlink(missing_ok=True)
    content = bytearray(path.read_bytes())
    if world.chance.random() < 0.3:
        del content[world.chance.randrange(len(content)) :]
    else:
        for _ in range(world.chance.choice((1, 20, 400))):
            content[world.chance.randrange(len(content))] = world.chance.randrange(256)
    path.write_bytes(content)
    world.count("damaged databases")


def one_month(seed: int, folder: Path, line: Line) -> None:
    """Live through thirty days, then judge.

    Raises:
        Fault: the law does not hold.
    """
    world = World(random.Random(seed))
    interval_s = world.chance.choice((1200.0, 3600.0, 3600.0))
    config = settings(folder, interval_s)
    seen = Seen()
    lives: list[tuple[int, float, float]] = []
    while world.at_s < DAYS * DAY_S:
        boot, began_s = world.boot, world.at_s - world.booted_at_s
        off, code = one_life(world, config, folder)
        lives.append((boot, began_s, world.at_s - world.booted_at_s))
        seen.collect(folder / "outbox.db", seed)
        if code not in (None, 4, 75):
            raise Fault(seed, f"the process ended with {code}")
        if world.chance.random() < 0.02:
            damage(folder, world)
        world.start_again(off=off)
    judge(seed, seen, lives, interval_s)
    size_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    if size_mb > DISK_LIMIT_MB:
        raise Fault(seed, f"{size_mb:.0f} MB on the disk, the settings allow 50")
    line.keep_highest("disk_mb", round(size_mb, 1))
    line.count("records", len(seen.records))
    line.count("lives", len(lives))
    for what, number in world.counts.items():
        line.count(what, number)


def judge(seed: int, seen: Seen, lives: list[tuple[int, float, float]], interval_s: float) -> None:
    """Hold every boot to the law."""
    by_boot: dict[int, list[dict[str, Any]]] = {}
    before_s: dict[tuple[str, str], float] = {}
    for (epoch, seq), record in sorted(seen.records.items()):
        by_boot.setdefault(int(record["boot_id"], 16), []).append(record)
        if record["monotonic_s"] < before_s.get((epoch, record["boot_id"]), 0.0):
            raise Fault(seed, f"record {epoch[:8]}:{seq} was made before the one of the number below")
        before_s[epoch, record["boot_id"]] = record["monotonic_s"]
    for boot in sorted(by_boot):
        own = [(began_s, ended_s) for number, began_s, ended_s in lives if number == boot]
        _judge_boot(seed, boot, by_boot[boot], own[-1][1], interval_s)
    boots = sorted({number for number, _, _ in lives})
    for before, after in pairwise(boots):
        if after not in by_boot or before not in by_boot:
            continue
        end_s = max(ended for number, _, ended in lives if number == before)
        last_s = max(record["monotonic_s"] for record in by_boot[before])
        told = [one for one in by_boot[after] if one.get("code") == "gap" and not one["detail"].get("same_boot", True)]
        if end_s - last_s > 2 * interval_s and not told:
            raise Fault(seed, f"boot {after}: nothing tells what was missed since boot {before}")


def _judge_boot(seed: int, boot: int, records: list[dict[str, Any]], ended_s: float, interval_s: float) -> None:
    records.sort(key=lambda record: float(record["monotonic_s"]))
    readings = [record for record in records if "outcome" in record]
    times = [reading["monotonic_s"] for reading in readings]
    slots = Counter(_slot(at_s, interval_s) for at_s in times[1:])  # the first is due at once, wherever the grid stands
    doubled = [slot for slot, number in slots.items() if number > 1]
    if doubled:
        raise Fault(seed, f"boot {boot}: slot {doubled[0]} has {slots[doubled[0]]} readings")
    if times:
        gaps = [
            record["detail"] for record in records if record.get("code") == "gap" and "through_s" in record["detail"]
        ]
        settled_s = max([times[-1], *(gap["through_s"] for gap in gaps)])
        due = range(_slot(times[0], interval_s) + 1, _slot(settled_s, interval_s) + 1)
        missing = sum(1 for slot in due if slot not in slots)
        counted = sum(int(gap["missed_slots"]) for gap in gaps)
        if missing != counted:
            raise Fault(seed, f"boot {boot}: {missing} slots without a reading, {counted} counted in gap records")
    _judge_labels(seed, boot, readings, [record for record in records if "of_boot_id" in record])


def _judge_labels(seed: int, boot: int, readings: list[dict[str, Any]], corrections: list[dict[str, Any]]) -> None:
    wrong = [index for index, reading in enumerate(readings) if not reading["clock_synced"]]
    after = len(readings) - 1 - wrong[-1] if wrong else 0
    if len(corrections) > 1:
        raise Fault(seed, f"boot {boot}: corrected {len(corrections)} times")
    if wrong and after >= 3 and not corrections:
        raise Fault(seed, f"boot {boot}: {len(wrong)} wrong labels were never corrected, {after} readings followed")
    if any(readings[index]["light"] != "unknown" for index in wrong):
        raise Fault(seed, f"boot {boot}: a light phase was told by a clock that was not set")


def _slot(at_s: float, interval_s: float) -> int:
    return int((at_s - 7.0 + 1e-3) // interval_s)  # a slot that is due is never a rounding error early


def run(line: Line, budget: int) -> None:
    """Live `budget` months, each in a folder of its own."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for seed in range(line.seed, line.seed + budget):
            with quick_folder() as place, redirect_stderr(StringIO()), redirect_stdout(StringIO()):
                folder = Path(tempfile.mkdtemp(dir=place))
                one_month(seed, folder, line)
            line.done += 1
            line.keep_highest("resident_mb", round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main(run, "simulated months", "seeds of 30 days", ci=20, full=500, chunk=10)
