"""A simulated device around the real capture: virtual time, a camera with episodes of faults, kills at any moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from edge.camera.protocol import Shot
from edge.contract.base import Scalar
from edge.contract.reading import CameraState
from edge.errors import CameraBusy, CameraError, CameraMissing, CameraTimeout
from edge.frame import Frame

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
DAY_S = 86_400.0
CAMERA_FAULTS = ("timeout", "busy", "missing", "identical", "stale", "broken", "black", "slow")


class Killed(BaseException):
    """The process is gone from one instruction to the next."""


class Off(Killed):
    """The power went: another boot follows."""


@dataclass
class World:
    """True time since `EPOCH` and what goes wrong in it. wrong_s: what the wall clock is off by."""

    chance: random.Random
    at_s: float = 0.0
    booted_at_s: float = 0.0
    boot: int = 0
    wrong_s: float = 0.0
    synced: bool = True
    next_kill_s: float = 0.0
    next_sync_s: float | None = None
    next_step_s: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plan_kill()
        self.next_step_s = self.chance.expovariate(1 / (6 * DAY_S))

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def plan_kill(self) -> None:
        self.next_kill_s = self.at_s + self.chance.expovariate(1 / (0.8 * DAY_S))

    def pass_time(self, until_s: float) -> None:
        """Let true time go on; what happens on the way happens.

        Raises:
            Killed, Off: the process's end lies on the way.
        """
        while True:
            happenings = [self.next_kill_s, self.next_step_s]
            if self.next_sync_s is not None:
                happenings.append(self.next_sync_s)
            first_s = min(happenings)
            if first_s > until_s:
                self.at_s = max(self.at_s, until_s)
                return
            self.at_s = max(self.at_s, first_s)
            if first_s == self.next_sync_s:
                self.next_sync_s, self.synced, self.wrong_s = None, True, 0.0
                self.count("syncs")
            elif first_s == self.next_step_s:
                self._step()
            else:
                self.die()

    def die(self) -> None:
        """End the process now.

        Raises:
            Killed, Off.
        """
        self.plan_kill()
        raise Off if self.chance.random() < 0.3 else Killed

    def start_again(self, *, off: bool) -> None:
        """Let the time pass until the next start: of a process, or of the machine without a real-time clock."""
        if not off:
            self.at_s += self.chance.choice((2.0, 2.0, 30.0, self.chance.uniform(0, 4 * 3600)))
            return
        self.at_s += self.chance.choice((20.0, self.chance.uniform(20, 12 * 3600)))
        self.boot += 1
        self.booted_at_s = self.at_s - self.chance.uniform(5, 20)
        self.synced = False
        self.wrong_s = self.chance.choice((-1.0, 1.0)) * self.chance.uniform(0, 20 * 365 * DAY_S)
        late_s = self.chance.choice((5.0, 300.0, self.chance.uniform(0, 3 * DAY_S)))
        self.next_sync_s = None if self.chance.random() < 0.2 else self.at_s + late_s
        self.count("boots")

    def _step(self) -> None:
        """Set the wall clock, forward or back, by seconds or by years."""
        self.next_step_s = self.at_s + self.chance.expovariate(1 / (6 * DAY_S))
        size_s = self.chance.choice((10.0, 3600.0, 400 * DAY_S, 20 * 365 * DAY_S))
        self.wrong_s = self.chance.uniform(-size_s, size_s)
        self.count("clock steps")


class VirtualClock:
    """The world's time as one boot's process sees it (`edge.clock.Clock`)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._boot = world.boot
        self.settle: Callable[[], None] = lambda: None

    @property
    def boot_id(self) -> str:
        return f"{self._boot:032x}"

    def monotonic_s(self) -> float:
        return self._world.at_s - self._world.booted_at_s

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._world.at_s + self._world.wrong_s)

    def synced(self) -> bool:
        return self._world.synced

    def sleep_until(self, until_s: float, poll: Callable[[], bool]) -> bool:
        if poll():
            return False
        self.settle()
        self._world.pass_time(until_s + self._world.booted_at_s)
        return True


class ChaosCamera:
    """Small noisy frames, and episodes in which nothing or something wrong comes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._noise = np.random.default_rng(world.chance.getrandbits(32))
        self._fault, self._left = "", 0
        self._last: Frame | None = None

    def open(self) -> None:
        self._world.pass_time(self._world.at_s + 0.5)
        if self._fault == "missing" and self._left > 0:
            self._left -= 1
            raise CameraMissing("simulated: none is there")

    def capture(self, shot: Shot) -> Frame:
        world = self._world
        if self._left <= 0 and world.chance.random() < 0.02:
            self._fault = world.chance.choice(CAMERA_FAULTS)
            self._left = world.chance.choice((1, 2, 3, 5, 12, 40))
            world.count(f"camera {self._fault}")
        fault = self._fault if self._left > 0 else ""
        self._left -= 1
        world.pass_time(world.at_s + (10.0 if fault in ("timeout", "slow") else 0.1))
        if fault == "timeout":
            raise CameraTimeout("simulated: no frame within 10 s")
        if fault == "busy":
            raise CameraBusy("simulated: somebody holds it")
        if fault == "missing":
            raise CameraMissing("simulated: it went away")
        if fault == "broken":
            raise CameraError("simulated: cancelled request")
        frame = self._frame(shot, black=fault == "black", stale=fault == "stale")
        if fault == "identical" and self._last is not None:
            frame = self._last
        self._last = frame
        return frame

    def flush(self) -> None:
        self._world.pass_time(self._world.at_s + 0.1)

    def close(self) -> None:
        """Nothing is held."""

    def describe(self) -> dict[str, Scalar]:
        return {"backend": "simulated", "model": "chaos", "width": 64, "height": 64}

    def _frame(self, shot: Shot, *, black: bool, stale: bool) -> Frame:
        main = self._noise.integers(0, 3 if black else 256, (64, 64, 3), dtype=np.uint8)
        return Frame(
            main=main,
            small=main[..., 0].copy(),
            triggered_at_s=shot.triggered_at_s,
            exposed_at_s=shot.triggered_at_s + (-60.0 if stale else 0.05),
            state=CameraState(backend="simulated", model="chaos", width=64, height=64),
            px_per_mm=None,
        )
