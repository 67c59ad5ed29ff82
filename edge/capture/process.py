"""The capture process: due slot -> camera -> observe -> outbox. Every due slot yields exactly one reading."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.camera.protocol import Camera, Shot
from edge.capture.archive import Archive
from edge.capture.clockwatch import ClockWatch, Correction, Step
from edge.capture.freshness import Freshness
from edge.capture.installs import Installs
from edge.capture.journal import Journal
from edge.capture.ladder import Ladder, Rungs, exit_code_after
from edge.capture.look import Look
from edge.capture.model import ModelSource
from edge.capture.problem import Problem, say
from edge.capture.reading import Composer, Result
from edge.capture.reference import Reference
from edge.capture.slot import Slot, begin_slot
from edge.capture.start_events import tell_model_change
from edge.config.tree import Config
from edge.contract.reading import Light, Model, Outcome, Reading
from edge.errors import (
    CameraError,
    DeviceError,
    EndOfReplay,
    FrameRefused,
    OperatorError,
    StorageError,
    UnreadablePicture,
    describe_error,
)
from edge.host.memory import over_ceiling
from edge.host.state_folder import capture_folder
from edge.outbox import Outbox
from edge.timing.clock import Clock
from edge.timing.schedule import Plan, Tally
from edge.vision.quality import MOVED


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
        self._problem = Problem()
        self.last_outcome: Outcome | None = None
        self.taken = 0
        self.unreadable = 0
        """Slots whose stored picture could not be read."""
        state_dir = Path(config.state_dir)
        self._ladder = Ladder(camera, rungs, Freshness())
        self._composer = Composer(config, config_sha256)
        self._reference = Reference(capture_folder(state_dir))
        archive = Archive(capture_folder(state_dir), config.archive)
        self._installs = Installs(state_dir, self.journal, self.models.trial, outbox)
        self._look = Look(config, self.models, self._reference, archive, self._problem)
        self._slot: Slot | None = None
        self._moved = 0
        self._refused = ""
        self._model: Model | None = None
        self._was_failing = rungs.failed_in_a_row > 0 or rungs.restarts_in_a_row > 0

    @property
    def problem(self) -> str:
        """What is wrong at present, empty for nothing."""
        return self._problem.text

    def take(self, request_id: str | None = None) -> Reading:
        """Return the reading of a slot that is due now; when it returns, the reading is durable.

        Whatever a camera, a picture, a model or a library raises on the way becomes a reading with a fault.

        Raises:
            EndOfReplay: the replay has no more pictures; there was nothing to read.
            StorageError: the outbox cannot keep anything.
        """
        self._slot = None
        slot = self._slot = begin_slot(self.clock, self.config.light_cycle, request_id)
        self.clock_watch.labelled(slot.captured_at.timestamp() - slot.monotonic_s, slot.clock_synced)
        try:
            result = self._photograph(slot)
        except EndOfReplay:
            raise
        except Exception as error:  # noqa: BLE001
            result = self._fault(Outcome.CAMERA_FAULT, error)
        reading = self._append(slot, result)
        self.taken += 1
        try:
            self._remember(slot, result if reading.outcome is result.outcome else Result(reading.outcome, ""))
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - the reading is durable, whatever comes after it
            say(f"after a reading: {describe_error(error)}")
        return reading

    def _append(self, slot: Slot, result: Result) -> Reading:
        """Return the slot's reading once it is durable. A second try stores the labels alone.

        Raises:
            StorageError: the outbox cannot keep anything.
        """
        made: list[Reading] = []

        def build(epoch: str, seq: int) -> tuple[Reading, bytes | None]:
            reading, jpeg = self._composer.compose(slot, result, epoch, seq)
            made.append(reading)
            return reading, jpeg

        def build_bare(_epoch: str, _seq: int) -> tuple[Reading, bytes | None]:
            made.append(self._composer.bare(slot, result.outcome, self.problem))
            return made[-1], None

        try:
            self.outbox.append_reading(build, self.journal.pending)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001
            self._problem.text = f"not recorded whole: {describe_error(error)}"
            say(self.problem)
            if not self.is_stored():
                self.outbox.append_reading(build_bare, self.journal.pending)
        self.journal.pending.clear()
        return made[-1]

    def is_stored(self) -> bool:
        """Return whether the newest slot's reading is in the outbox: an error may come after its commit."""
        slot = self._slot
        newest = (one for one in self.outbox.newest(4) if isinstance(one, Reading))
        return slot is not None and any(
            (one.boot_id, one.monotonic_s) == (slot.boot_id, slot.monotonic_s) for one in newest
        )

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
            say(f"capture: {too_much}")
            return DeviceError.exit_code
        if self.rungs.failed_in_a_row == 0:
            return None
        code = exit_code_after(self.rungs)
        if code is not None:
            self.journal.event("camera_lost", self.problem, exit_code=code, restarts=self.rungs.restarts_in_a_row)
        return code

    def close(self) -> None:
        """Let go of the camera; one that fails to close keeps nobody from ending."""
        try:
            self._ladder.close()
        except Exception as error:  # noqa: BLE001
            say(f"the camera did not close: {describe_error(error)}")

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
        except Exception as error:  # noqa: BLE001 - a driver's own error: two such slots in a row, and a fresh process
            self.rungs.climbed("failed_slots")
            self.rungs.failed_in_a_row += 1
            return self._fault(Outcome.CAMERA_FAULT, error)
        self.fresh = Fresh(slot.captured_at, slot.monotonic_s)
        return self._look.at(slot, frames, (time.perf_counter() - begin) * 1000)

    def _fault(self, outcome: Outcome, error: Exception) -> Result:
        """Return the failed slot, and say once on standard error what to do about it."""
        text = describe_error(error)
        self._problem.note(outcome, text)
        return Result(outcome, text)

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
