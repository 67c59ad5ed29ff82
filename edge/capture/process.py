"""The capture process: due slot -> camera -> observe -> outbox. Every due slot yields exactly one reading."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from edge.camera.protocol import Camera, Shot
from edge.capture.archive import Archive
from edge.capture.bundle_events import BundleEvents
from edge.capture.change_events import ChangeEvents
from edge.capture.clock_events import append_clock_events
from edge.capture.clockwatch import ClockWatch
from edge.capture.event_writer import EventWriter
from edge.capture.frame_observer import FrameObserver
from edge.capture.freshness import Freshness
from edge.capture.model import ModelSource
from edge.capture.problem import Problem, warn
from edge.capture.reading import Composer, Result, TakenSlot
from edge.capture.reference import Reference
from edge.capture.shadow import ShadowRun
from edge.capture.slot import Slot, begin_slot
from edge.capture.start_events import append_changes
from edge.capture.status import CaptureStatus, ProcessState
from edge.capture.take_frames import FrameTaker, RecoveryState, exit_code_after
from edge.config.state_folder import capture_folder
from edge.config.tree import Config
from edge.contract.reading import Light, Outcome, Reading
from edge.errors import (
    BundleError,
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
from edge.outbox import Outbox
from edge.timing.clock import Clock
from edge.timing.schedule import Plan, Tally


class CaptureProcess:
    """Takes the slots of one device, and keeps what one slot needs from those before it."""

    def __init__(
        self,
        config: Config,
        config_sha256: str,
        clock: Clock,
        camera: Camera,
        outbox: Outbox,
        plan: Plan,
        recovery: RecoveryState,
        clock_watch: ClockWatch,
        tally: Tally,
        events: EventWriter,
    ) -> None:
        """Nothing is opened or loaded before the first slot.

        recovery, clock_watch, tally: go on from the last process, and are shared with whoever writes the status file.
        """
        self._config, self._clock, self._plan, self._camera, self._outbox = config, clock, plan, camera, outbox
        self._recovery, self._clock_watch = recovery, clock_watch
        self._events = events
        self._models = ModelSource(config, clock.monotonic_s)
        self._tally = tally
        self._fresh: Slot | None = None
        self._problem = Problem()
        self.last_outcome: Outcome | None = None
        self.unreadable = 0
        """Slots whose stored picture could not be read."""
        state_dir = Path(config.state_dir)
        self._ladder = FrameTaker(camera, recovery, Freshness())
        self._composer = Composer(config, config_sha256)
        self._reference = Reference(capture_folder(state_dir))
        archive = Archive(capture_folder(state_dir), config.archive)
        self._bundle_events = BundleEvents(state_dir, self._events, self._models.trial, outbox)
        self._shadow = ShadowRun(config, clock.monotonic_s)
        self._observer = FrameObserver(config, self._models, self._reference, archive, self._problem, self._shadow)
        self._slot: Slot | None = None
        was_failing = recovery.failed_in_a_row > 0 or recovery.restarts_in_a_row > 0
        self._changes = ChangeEvents(events, self._models, was_failing=was_failing)

    @property
    def problem(self) -> str:
        """What is wrong at present, empty for nothing."""
        return self._problem.text

    def describe(self) -> ProcessState:
        """Return what camera and model report of themselves, and when the newest fresh frame was taken."""
        model, fresh = self._models.get(), self._fresh
        return ProcessState(
            camera=self._camera.describe(),
            model=None if model is None else model.describe(),
            fresh_frame_at=None if fresh is None else fresh.captured_at,
            fresh_frame_monotonic_s=None if fresh is None else fresh.monotonic_s,
        )

    def model_fault_code(self) -> int:
        """Return the exit code for a run that ends with a model fault: the one of what keeps the model from running."""
        problem = self._models.problem
        return BundleError.exit_code if problem is None else problem.exit_code

    def append_changes_since(self, last: CaptureStatus | None) -> None:
        """Append an event where camera or model are others than the last process's.

        Raises:
            StorageError: the outbox cannot keep an event.
        """
        state = self.describe()
        append_changes(self._events, last, state.camera, state.model, self._models.file_sha256)

    def take_slot(self, request_id: str | None = None, before: Callable[[], None] = lambda: None) -> TakenSlot:
        """Return a slot that is due now with its reading; when it returns, the reading is durable.

        Whatever a camera, a picture, a model or a library raises on the way becomes a reading with a fault.
        before: appends what must be stored in front of the reading.

        Raises:
            EndOfReplay: the replay has no more pictures; there was nothing to read.
            StorageError: the outbox cannot keep anything.
        """
        self._slot = None
        before()
        slot = self._slot = begin_slot(self._clock, self._config.light_cycle, request_id)
        self._clock_watch.labelled(slot.captured_at.timestamp() - slot.monotonic_s, slot.clock_synced)
        try:
            result = self._photograph(slot)
        except EndOfReplay:
            raise
        except Exception as error:  # noqa: BLE001
            result = self._fault(Outcome.CAMERA_FAULT, error)
        reading = self._append(slot, result)
        return TakenSlot(slot, result if reading.outcome is result.outcome else Result(reading.outcome, ""), reading)

    def _append(self, slot: Slot, result: Result) -> Reading:
        """Return the slot's reading once it is durable. A second try stores the labels alone.

        Raises:
            StorageError: the outbox cannot keep anything.
        """

        def build(epoch: str, seq: int) -> tuple[Reading, bytes | None]:
            return self._composer.compose(slot, result, epoch, seq)

        def build_bare(_epoch: str, _seq: int) -> tuple[Reading, bytes | None]:
            return self._composer.bare(slot, result.outcome, self.problem), None

        try:
            reading = self._outbox.append_reading(build, self._events.pending).reading
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001
            self._problem.text = f"only a part of the reading could be recorded: {describe_error(error)}"
            warn(self.problem)
            stored = self.find_stored()
            reading = stored or self._outbox.append_reading(build_bare, self._events.pending).reading
        self._events.pending.clear()
        return reading

    def find_stored(self) -> Reading | None:
        """Return the newest slot's reading if it is in the outbox: an error may come after its commit."""
        slot = self._slot
        if slot is None:
            return None
        newest = (one for one in self._outbox.newest(4) if isinstance(one, Reading))
        labels = (slot.boot_id, slot.monotonic_s)
        return next((one for one in newest if (one.boot_id, one.monotonic_s) == labels), None)

    def watch_clock(self) -> None:
        """Record what the wall clock did since the last call."""
        append_clock_events(self._clock_watch, self._clock, self._events)

    def exit_code(self) -> int | None:
        """Return the code with which the process should end to be started anew, or None: a stuck camera, or memory."""
        too_much = over_ceiling(self._config.memory.capture_mb)
        if too_much is not None:
            self._recovery.count("memory_restarts")
            self._events.append("memory_ceiling", too_much, exit_code=DeviceError.exit_code)
            warn(f"capture: {too_much}")
            return DeviceError.exit_code
        if self._recovery.failed_in_a_row == 0:
            return None
        code = exit_code_after(self._recovery)
        if code is not None:
            self._events.append("camera_lost", self.problem, exit_code=code, restarts=self._recovery.restarts_in_a_row)
        return code

    def close(self) -> None:
        """Close the camera; one that fails to close does not keep the process from ending."""
        self._shadow.close()
        try:
            self._ladder.close()
        except Exception as error:  # noqa: BLE001
            warn(f"the camera did not close: {describe_error(error)}")

    def _photograph(self, slot: Slot) -> Result:
        begin = time.perf_counter()
        aim: Callable[[], Shot] = lambda: Shot(self._clock.monotonic_s(), slot.light)  # noqa: E731
        try:
            frames = self._ladder.take_frames(aim, self._config.schedule.burst_frames)
        except FrameRefused as error:
            return self._fault(Outcome.STALE_FRAME, error)
        except EndOfReplay:
            raise
        except (CameraError, OperatorError) as error:
            self.unreadable += isinstance(error, UnreadablePicture)
            return self._fault(Outcome.CAMERA_FAULT, error)
        except Exception as error:  # noqa: BLE001 - a driver's own error: two such slots in a row, and a fresh process
            self._recovery.count("failed_slots")
            self._recovery.failed_in_a_row += 1
            return self._fault(Outcome.CAMERA_FAULT, error)
        self._fresh = slot
        return self._observer.observe(slot, frames, (time.perf_counter() - begin) * 1000)

    def _fault(self, outcome: Outcome, error: Exception) -> Result:
        """Return the failed slot, and print once on standard error what to do about it."""
        text = describe_error(error)
        self._problem.note(outcome, text)
        return Result(outcome, text)

    def finish_slot(self, taken: TakenSlot) -> None:
        """Keep what the next slots need, and append the events that this one gives rise to.

        Raises:
            StorageError: the outbox cannot keep an event.
        """
        slot, result = taken.slot, taken.result
        self.last_outcome = result.outcome
        if result.observation is not None and result.observation.accepted and slot.light is not Light.UNKNOWN:
            self._tally.add(self._plan, slot.captured_at)
        self._changes.note_camera(result, self._recovery.counters)
        if result.frames:
            self._reference.offer(slot.light, result.outcome, result.view_of_first())
        self._changes.note_result(result)
        self._bundle_events.append_new()
