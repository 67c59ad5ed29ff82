"""The capture process: due slot -> camera -> observe -> outbox. Every due slot yields exactly one reading."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.camera.protocol import Camera, Shot
from edge.capture.archive import Archive
from edge.capture.beginning import tell_model_change
from edge.capture.clockwatch import ClockWatch, Correction, Step
from edge.capture.freshness import Freshness
from edge.capture.installs import Installs
from edge.capture.journal import Journal
from edge.capture.ladder import Ladder, Rungs, exit_code_after
from edge.capture.model import ModelSource
from edge.capture.reading import Composer, Result, with_crops
from edge.capture.reference import Reference
from edge.capture.slot import Slot, begin_slot
from edge.clock import Clock
from edge.config.tree import Config
from edge.contract.reading import Light, Model, Outcome, Reading, Timings
from edge.errors import (
    CageclockError,
    CameraError,
    DeviceError,
    EndOfReplay,
    FrameRefused,
    OperatorError,
    UnreadablePicture,
)
from edge.frame import Frame
from edge.memory import over_ceiling
from edge.observe import ObserveSettings, observe
from edge.outbox import Outbox
from edge.quality import MOVED, measure_quality
from edge.schedule import Plan, Tally


@dataclass(slots=True)
class Fresh:
    """The newest fresh frame, for the health record."""

    at: datetime | None = None
    monotonic_s: float | None = None


class CaptureProcess:
    """One device's measuring: what it needs for a slot, and what it remembers from slot to slot."""

    def __init__(
        self,
        config: Config,
        config_sha256: str,
        clock: Clock,
        camera: Camera,
        outbox: Outbox,
        plan: Plan,
        rungs: Rungs,
        clock_watch: ClockWatch,
        tally: Tally,
    ) -> None:
        """Nothing is opened or loaded before the first slot."""
        self.config, self.clock, self.plan, self.rungs, self.clock_watch = config, clock, plan, rungs, clock_watch
        self.camera, self.outbox = camera, outbox
        self.journal = Journal(outbox, clock, config.device_id)
        self.models = ModelSource(config, clock.monotonic_s)
        self.tally = tally
        self.fresh = Fresh()
        self.problem = ""
        self.last_outcome: Outcome | None = None
        self.taken = 0
        self.unreadable = 0
        """Slots whose stored picture could not be read."""
        state_dir = Path(config.state_dir)
        self._ladder = Ladder(camera, rungs, Freshness())
        self._composer = Composer(config, config_sha256)
        self._reference = Reference(state_dir)
        self._archive = Archive(state_dir, config.archive)
        self._installs = Installs(state_dir, self.journal, self.models.trial, outbox)
        self._settings = ObserveSettings.of(config.cage, config.quality)
        self._moved = 0
        self._refused = ""
        self._model: Model | None = None
        self._was_failing = rungs.failed_in_a_row > 0 or rungs.restarts_in_a_row > 0

    def take(self, request_id: str | None = None) -> Reading:
        """Return the reading of a slot that is due now; when it returns, the reading is durable.

        Raises:
            EndOfReplay: the replay has no more pictures; there was nothing to read.
            StorageError: the outbox cannot keep anything.
        """
        slot = begin_slot(self.clock, self.config.light_cycle, request_id)
        self.clock_watch.labelled(slot.captured_at.timestamp() - slot.monotonic_s, slot.clock_synced)
        result = self._photograph(slot)
        made: list[Reading] = []

        def build(epoch: str, seq: int) -> tuple[Reading, bytes | None]:
            reading, jpeg = self._composer.compose(slot, result, epoch, seq)
            made.append(reading)
            return reading, jpeg

        self.outbox.append_reading(build)
        self.taken += 1
        self._remember(slot, result)
        return made[-1]

    def watch_clock(self) -> None:
        """Record what the wall clock did since the last look."""
        offset_s = self.clock.now().timestamp() - self.clock.monotonic_s()
        found = self.clock_watch.observe(offset_s, self.clock.synced())
        if isinstance(found, Correction):
            self.journal.correction(found)
        elif isinstance(found, Step):
            text = f"the wall clock was set by {found.step_s:+.1f} s; slots keep their spacing, labels follow it"
            self.journal.event("clock_stepped", text, step_s=found.step_s)

    def exit_code(self) -> int | None:
        """Return the code with which the process should end to be started anew, or None: a stuck camera, or memory."""
        too_much = over_ceiling(self.config.memory.capture_mb)
        if too_much is not None:
            self.rungs.climbed("memory_restarts")
            self.journal.event("memory_ceiling", too_much, exit_code=DeviceError.exit_code)
            print(f"cageclock: capture: {too_much}", file=sys.stderr, flush=True)
            return DeviceError.exit_code
        if self.rungs.failed_in_a_row == 0:
            return None
        code = exit_code_after(self.rungs)
        if code is not None:
            self.journal.event("camera_lost", self.problem, exit_code=code, restarts=self.rungs.restarts_in_a_row)
        return code

    def close(self) -> None:
        """Let go of the camera."""
        self._ladder.close()

    def _photograph(self, slot: Slot) -> Result:
        begin = time.perf_counter()
        aim: Callable[[], Shot] = lambda: Shot(self.clock.monotonic_s(), slot.light)  # noqa: E731
        try:
            frames = self._ladder.take(aim, self.config.schedule.burst_frames)
        except FrameRefused as error:
            return self._fault(Outcome.STALE_FRAME, error)
        except EndOfReplay:
            raise
        except (CameraError, OperatorError) as error:
            self.unreadable += isinstance(error, UnreadablePicture)
            return self._fault(Outcome.CAMERA_FAULT, error)
        self.fresh = Fresh(slot.captured_at, slot.monotonic_s)
        return self._observe(slot, frames, (time.perf_counter() - begin) * 1000)

    def _observe(self, slot: Slot, frames: tuple[Frame, ...], capture_ms: float) -> Result:
        begin = time.perf_counter()
        reference = self._reference.of(slot.light)
        model = self.models.get()
        try:
            if model is None:
                assert self.models.problem is not None
                raise self.models.problem
            with self.models.at_work():
                seen = observe(frames, model, self._settings, reference, slot.light)
        except Exception as error:  # noqa: BLE001 - whatever the runtime raises, the slot yields its reading
            fault = self._fault(Outcome.MODEL_FAULT, error)
            quality = measure_quality(frames[0].small, self.config.quality, reference)
            return Result(fault.outcome, fault.detail, frames, quality, timings=Timings(capture_ms=capture_ms))
        observe_ms = (time.perf_counter() - begin) * 1000
        timings = Timings(capture_ms=capture_ms, observe_ms=observe_ms, model_ms=seen.model_ms)
        self.problem = ""
        result = Result(seen.outcome, seen.detail, frames, seen.quality, seen, model.describe(), timings)
        return with_crops(result, [self._archive.keep(crops) for crops in seen.crops])

    def _fault(self, outcome: Outcome, error: Exception) -> Result:
        """Return the failed slot, and say once on standard error what to do about it."""
        text = str(error) if isinstance(error, CageclockError) else f"{type(error).__name__}: {error}"
        if text != self.problem:
            print(f"cageclock: {outcome.value}: {text}", file=sys.stderr, flush=True)
        self.problem = text
        return Result(outcome, text[:500])

    def _remember(self, slot: Slot, result: Result) -> None:
        """Keep what the next slots need, and append the events that this one gives rise to."""
        self.last_outcome = result.outcome
        if result.observation is not None and result.observation.accepted and slot.light is not Light.UNKNOWN:
            self.tally.add(self.plan, slot.captured_at)
        if result.frames:
            if self._was_failing:
                self.journal.event("camera_recovered", "a fresh frame came again", **self.rungs.counters)
            self._was_failing = False
            self._reference.offer(slot.light, result.outcome, result.frames[0].small)
        else:
            self._was_failing = True
        self._notice_movement(result)
        self._notice_refusal()
        if result.model is not None:
            if self._model is not None:
                tell_model_change(self.journal, self._model, result.model)
            self._model = result.model
        self._installs.tell()

    def _notice_movement(self, result: Result) -> None:
        """Append one event when two readings in a row are flagged as moved; every one of them keeps its flag."""
        if result.quality is None:
            return
        self._moved = self._moved + 1 if MOVED in result.quality.flags else 0
        if self._moved == 2:
            shift = result.quality.reference_shift_px
            text = "the camera was moved against its reference view; put it back, or remove reference-*.npy to accept"
            self.journal.event("camera_moved", text, shift_px=shift)

    def _notice_refusal(self) -> None:
        """Append one event for each new reason why the wanted model does not run; another one may go on meanwhile."""
        problem = str(self.models.problem or "")
        if problem and problem != self._refused:
            self.journal.event("model_refused", problem)
        self._refused = problem
