"""Simulated months: capture's own code on a clock whose waits take no time, with random faults of every kind.

The camera fails in all its ways, the process is killed between any two steps, the power goes, the wall clock is set by
up to twenty years, the disk fills up, the database and the status file are damaged while nothing runs. A publisher
reads along and a station promises. In the end every slot of the schedule has one reading, or a record says that it is
missing; no number was ever given to two records; and the state folder is within its bounds.
"""

from __future__ import annotations

import contextlib
import io
import random
import resource
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge.capture.run import Capture
from edge.config.load import parse_config
from edge.contract.record import Event
from edge.errors import EXIT_REBOOT, CageclockError
from edge.outbox import Outbox
from edge.outbox.record_file import Record
from edge.outbox.stored_reading import Build, StoredReading
from tests.campaigns.bit_flips import CHECK_S, _flip
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.campaigns.month_judge import Key, Station, judge
from tests.campaigns.vfs import watched_files
from tests.campaigns.virtual import YEAR_S, Killed, VirtualCamera, VirtualClock

BEGIN = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAYS = 30
INTERVALS_S = (3600.0, 7200.0, 14_400.0)
FOLDER_LIMIT_MB = 24


@dataclass(frozen=True)
class Rates:
    """How often a wait is disturbed, by what; camera: of a capture."""

    kill: float = 0.01
    power: float = 0.006
    step: float = 0.01
    sync: float = 0.1
    full: float = 0.01
    late: float = 0.01
    publish: float = 0.15
    damage: float = 0.1
    camera: float = 0.05


def run(line: Line, budget: int, rates: Rates = Rates(), days: float = DAYS) -> None:
    for number in range(budget):
        seed = line.seed + number
        with quick_folder() as folder, contextlib.redirect_stderr(io.StringIO()):
            fault = Life(folder, seed, rates, days).live(line)
        line.done += 1
        if fault:
            raise Fault(seed, fault)


class Life:
    """One device from its first start to the end of its days."""

    def __init__(self, folder: Path, seed: int, rates: Rates, days: float) -> None:
        self._folder, self._rates, self._days = folder, rates, days
        self._state = folder / "state"
        self._state.mkdir()
        # A stream of its own for each, so that a file that is longer by a digit shifts nothing else.
        self._chance, self._harm, self._deaths = (random.Random(f"{seed} {of}") for of in ("waits", "harm", "deaths"))
        self._interval_s = self._chance.choice(INTERVALS_S)
        self.clock = VirtualClock(random.Random(f"{seed} clock"), BEGIN)
        self._camera = VirtualCamera(random.Random(f"{seed} camera"), self.clock, rates.camera)
        self.clock.while_waiting, self._camera.during = self._disturb, self._maybe_kill
        self._files = watched_files()
        self._full_for, self._kept_reserve = 0, False
        self.station = Station(self._state)
        self._config = parse_config(
            f"device_id: cage07\nstate_dir: {self._state}\ncage: {{id: c7}}\n"
            "camera: {backend: simulated, width: 64, height: 64, small_width: 64}\n"
            f"schedule: {{interval_light_s: {self._interval_s}, interval_dark_s: {self._interval_s}, "
            "phase_offset_s: 0}\n"
            "thumbnail: {width: 64}\n"
            "bundle: {path: /nowhere/none.bundle}\n"  # a reading without a model is a reading, and quickly made
            "outbox: {max_mb: 16, min_free_mb: 0, keep_days: 5, reserve_mb: 1}\n"
            "memory: {capture_mb: 100000}\n"  # the process is the campaign's
        )
        self._counts: dict[str, int] = {}
        self._gaps: dict[Key, Event] = {}

    def live(self, line: Line) -> str:
        """Return what is wrong in the end, "" where all is well."""
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        end_s = BEGIN.timestamp() + self._days * 86_400
        try:
            while self.clock.true_s < end_s:
                self._one_process()
            self._full_for, self._files.refuse = 0, lambda _step: False
            self._rates = Rates(kill=0, power=0, step=0, sync=0, full=0, late=0, publish=0, damage=0, camera=0)
            self._start(captures=2)
        finally:
            self._files.refuse = lambda _step: False
            for number, handler in before.items():
                signal.signal(number, handler)
        self.clock.boots[-1].ended_s = self.clock.monotonic_s()
        self.station.listen()
        for what, number in (self._counts | {f"camera {name}": n for name, n in self._camera.faults.items()}).items():
            line.count(what, number)
        files = [path for path in self._state.rglob("*") if path.is_file() and ".damaged" not in path.name]
        size_mb = sum(path.stat().st_size for path in files) / 1e6
        line.keep_highest("largest folder MB", round(size_mb, 2))
        line.keep_highest("resident MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        if size_mb > FOLDER_LIMIT_MB:
            return f"the state folder holds {size_mb:.1f} MB"
        return self.station.wrong or judge(self.station, self.clock.boots, self._interval_s, self._gaps, line)

    def _one_process(self) -> None:
        code = 0
        self._fuller()
        try:
            code = self._start(captures=None)
        except Killed:
            shutil.rmtree(self._state)
            (self._folder / "at the kill").rename(self._state)
        except CageclockError as error:  # the unit starts it again
            code = error.exit_code
            self._count(f"ended by {type(error).__name__}")
        self.clock.pass_(self._chance.uniform(2.0, 5.0))
        if code == EXIT_REBOOT:
            self._count("reboots")
            self.clock.boot(self._chance.uniform(20.0, 60.0))
        if self._powerless:
            self.clock.boot(self._chance.choice((30.0, 600.0, 20_000.0, 200_000.0)))
            self._forget_status()
        if self._chance.random() < self._rates.damage:
            self._damage()
        self.station.listen()

    def _start(self, captures: int | None) -> int:
        self._powerless = False
        self.clock.boots[-1].starts.append(self.clock.monotonic_s())
        outbox = Outbox.open(
            self._state, self._config.outbox, device_id="cage07", serial="s", clock=self.clock, step=self._step
        )
        self._remember_gaps(outbox)
        try:
            capture = Capture(self._config, self.clock, outbox, self._state, None, camera=self._camera)
            code = capture.run(captures)
            if captures is not None:
                self._finish_check(outbox)
            return code
        finally:
            outbox.close()

    def _finish_check(self, outbox: Outbox) -> None:
        """Wait for the check beside the captures: virtual time did not give its thread the hours that it really has."""
        deadline_s = time.monotonic() + CHECK_S
        outbox.maintain()
        while outbox.checking and time.monotonic() < deadline_s:
            time.sleep(0.002)
            outbox.maintain()

    def _remember_gaps(self, outbox: Outbox) -> None:
        """Keep each `gap` with its number, whether it is appended alone or in front of a start's first reading."""
        append, append_reading = outbox.append_record, outbox.append_reading

        def remembered(record: Record) -> Key:
            key = append(record)
            self._remember(key, record)
            return key

        def remembered_in_front(build: Build, before: Sequence[Record] = ()) -> StoredReading:
            # A kill behind the commit leaves the gap in the file, and its number with nobody: keep it before.
            first = outbox.next_seq
            keys = [(outbox.epoch, first + place) for place in range(len(before))]
            for key, record in zip(keys, before, strict=True):
                self._remember(key, record)
            try:
                stored = append_reading(build, before)
            except Exception:
                for key in keys:
                    self._gaps.pop(key, None)
                raise
            epoch, seq = stored.key
            for place, record in enumerate(before):
                self._remember((epoch, seq - len(before) + place), record)
            return stored

        outbox.append_record = remembered  # type: ignore[method-assign]
        outbox.append_reading = remembered_in_front  # type: ignore[method-assign]

    def _remember(self, key: Key, record: Record) -> None:
        if isinstance(record, Event) and record.code == "gap":
            self._gaps[key] = record

    def _disturb(self, until_s: float) -> None:
        """What happens while capture waits for its next slot."""
        chance, rates, clock = self._chance.random, self._rates, self.clock
        if not self._fuller() and chance() < rates.full:
            self._fill_disk()
        if not clock.synced() and chance() < rates.sync:
            clock.sync()
            self._count("clock set")
        if chance() < rates.step:
            by_s = self._chance.choice((-1, 1)) * self._chance.choice((3.0, 3600.0, 86_400.0, YEAR_S, 20 * YEAR_S))
            clock.step(by_s * self._chance.random(), synced=self._chance.random() < 0.5)
            self._count("clock steps")
        if chance() < rates.publish:
            self.station.listen()
            self.station.promise(self._harm)
        if chance() < rates.late:  # suspended, or starved of the processor
            clock.pass_(max(0.0, until_s - clock.monotonic_s()) + self._chance.choice((1.0, 3.5)) * self._interval_s)
            self._count("times late")
        if chance() < rates.power:
            self._count("power cuts")
            self._powerless = True
            clock.pass_(self._chance.random() * max(0.0, until_s - clock.monotonic_s()))
            self._kill()
        if chance() < rates.kill:
            clock.pass_(self._chance.random() * 2 * max(0.0, until_s - clock.monotonic_s()))
            self._kill()

    def _step(self, _name: str) -> None:
        self._maybe_kill()

    def _maybe_kill(self) -> None:
        if self._deaths.random() < self._rates.kill / 8:
            self._powerless = self._deaths.random() < 0.3
            self._kill()

    def _kill(self) -> None:
        """Keep what lies on the disk at this very moment; the process's own clean-up happens elsewhere."""
        self._count("kills")
        shutil.copytree(self._state, self._folder / "at the kill")
        raise Killed

    def _fuller(self) -> bool:
        """Return whether the disk was full until now; after some waits or starts somebody makes space."""
        if not self._full_for:
            return False
        self._full_for -= 1
        if not self._full_for:
            self._files.refuse = lambda _step: False
        return True

    def _fill_disk(self) -> None:
        """Refuse the outbox's writes for some slots; half of the time giving up the reserve helps."""
        self._count("times full")
        self._full_for = self._chance.choice((1, 2, 5))
        helps, reserve = self._chance.random() < 0.5, self._state / "reserve"
        if helps:
            reserve.touch()
        self._files.refuse = lambda step: "outbox" in step.path and (not helps or reserve.exists())

    def _forget_status(self) -> None:
        """A status file is never synced: after a power cut there may be none, or half of one."""
        path = self._state / "capture.json"
        if path.exists() and self._chance.random() < 0.4:
            path.write_bytes(path.read_bytes()[: self._chance.choice((0, 50))])
            self._count("status lost")

    def _damage(self) -> None:
        victims = [path for path in self._state.glob("outbox.db*") if path.suffix in (".db", ".db-wal")]
        victims = [path for path in victims if path.stat().st_size]
        if victims:
            self._count("flipped files")
            _flip(self._harm.choice(sorted(victims)), self._harm)

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1


if __name__ == "__main__":
    main(run, "simulated months", "months", ci=10, full=500, chunk=10)
