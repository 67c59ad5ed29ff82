"""A device's world for simulated months: its clock, its camera, and their faults, all drawn from one seed."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from edge.camera.protocol import Shot
from edge.contract.base import Scalar
from edge.contract.reading import CameraState
from edge.errors import CameraBusy, CameraMissing, CameraTimeout
from edge.vision.frame import Frame

YEAR_S = 365.25 * 86_400
FACTORY = datetime(2024, 3, 15, tzinfo=UTC).timestamp()
"""What a machine without a clock of its own believes after switching on."""


class Killed(BaseException):
    """The process is gone; what runs after this runs on files that nobody looks at any more."""


@dataclass
class Boot:
    """What a judge must know of one boot. starts, slots: monotonic seconds."""

    boot_id: str
    began_true_s: float
    starts: list[float] = field(default_factory=list)
    ended_s: float = 0.0
    synced_at: list[float] = field(default_factory=list)


class VirtualClock:
    """A clock whose waits take no time. `true_s` is what a perfect clock would say; the wall clock may say anything."""

    def __init__(self, chance: random.Random, begins_at: datetime) -> None:
        self._chance = chance
        self._true_s = begins_at.timestamp()
        self.boots: list[Boot] = []
        self.while_waiting: Callable[[float], None] = lambda _until_s: None
        self.boot(0.0)

    def boot(self, off_s: float) -> None:
        """Lose power for so long and start again: no clock of its own, so the time is wrong until it is set."""
        if self.boots:
            self.boots[-1].ended_s = self.monotonic_s()
        self._true_s += off_s
        self._booted_true_s = self._true_s - self._chance.uniform(5.0, 40.0)
        self.boots.append(Boot(uuid.UUID(int=self._chance.getrandbits(128)).hex, self._booted_true_s))
        self._wall_offset_s = self._chance.choice((FACTORY, self._true_s - 3600, self._true_s)) - self.monotonic_s()
        self._synced = False

    @property
    def true_s(self) -> float:
        return self._true_s

    @property
    def boot_id(self) -> str:
        return self.boots[-1].boot_id

    def monotonic_s(self) -> float:
        return self._true_s - self._booted_true_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(seconds=self.monotonic_s() + self._wall_offset_s)

    def synced(self) -> bool:
        return self._synced

    def sync(self) -> None:
        """Have the clock set by the network."""
        self._wall_offset_s = self._true_s - self.monotonic_s()
        self._synced = True
        self.boots[-1].synced_at.append(self.monotonic_s())

    def step(self, by_s: float, *, synced: bool) -> None:
        """Set the wall clock by so much: somebody, or a wrong server."""
        moved = self.now().timestamp() + by_s
        if 0 < moved < datetime(2090, 1, 1, tzinfo=UTC).timestamp():
            self._wall_offset_s += by_s
            self._synced = synced
            if synced:
                self.boots[-1].synced_at.append(self.monotonic_s())

    def pass_(self, seconds: float) -> None:
        """Let time go by."""
        self._true_s += seconds

    def sleep_until(self, until_s: float, poll: Callable[[], bool]) -> bool:
        if poll():
            return False
        self.while_waiting(until_s)
        self._true_s += max(0.0, until_s - self.monotonic_s())
        return True


class VirtualCamera:
    """Frames of noise, and every way in which a camera fails, in runs of random length."""

    def __init__(self, chance: random.Random, clock: VirtualClock, fault_rate: float) -> None:
        self._chance, self._clock, self._rate = chance, clock, fault_rate
        self._left, self._fault = 0, ""
        self._last: Frame | None = None
        self.during: Callable[[], None] = lambda: None
        self.faults: dict[str, int] = {}

    def open(self) -> None:
        if self._fault == "missing" and self._left > 0:
            self._left -= 1
            raise CameraMissing("simulated: no camera is connected")

    def capture(self, shot: Shot) -> Frame:
        self.during()
        if self._left <= 0 and self._chance.random() < self._rate:
            self._left = self._chance.choice((1, 1, 2, 5, 12, 40))
            self._fault = self._chance.choice(("timeout", "busy", "missing", "stale", "identical", "black"))
            self.faults[self._fault] = self.faults.get(self._fault, 0) + 1
        self._left -= 1
        fault = self._fault if self._left >= 0 else ""
        self._clock.pass_(10.0 if fault == "timeout" else 0.3)
        if fault == "timeout":
            raise CameraTimeout("simulated: no frame")
        if fault == "busy":
            raise CameraBusy("simulated: another process holds the camera")
        if fault == "missing":
            raise CameraMissing("simulated: no camera is connected")
        if fault == "identical" and self._last is not None:
            return replace(self._last, triggered_at_s=shot.triggered_at_s, exposed_at_s=self._clock.monotonic_s())
        self._last = self._frame(shot, black=fault == "black", stale=fault == "stale")
        return self._last

    def _frame(self, shot: Shot, *, black: bool, stale: bool) -> Frame:
        noise = np.random.default_rng(self._chance.getrandbits(32))
        pixels = noise.integers(0, 2 if black else 256, (64, 64, 3), dtype=np.uint8)
        return Frame(
            main=pixels,
            triggered_at_s=shot.triggered_at_s,
            exposed_at_s=shot.triggered_at_s - 3600.0 if stale else self._clock.monotonic_s(),
            state=CameraState(backend="simulated", model="noise", width=64, height=64),
            px_per_mm=None,
        )

    def flush(self) -> None:
        """Nothing is queued."""

    def close(self) -> None:
        """Nothing is held."""

    def describe(self) -> dict[str, Scalar]:
        return {"backend": "simulated", "model": "noise", "width": 64, "height": 64, "seed": 0}
