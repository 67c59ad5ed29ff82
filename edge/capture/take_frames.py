"""The camera's recovery ladder: flush, reopen, exit for a restart, and at last exit code 75 for a reboot.

Within one due slot the camera is tried three times: as it is, after a flush, after closing and opening it again. A slot
that fails is a reading with the outcome `camera_fault`. After `FAILED_SLOTS` of them in a row the process ends, because
a stuck driver thread cannot be killed but a process can; after `RESTARTS` such ends in a row, without one fresh frame
between them, it ends with code 75, and a root helper decides whether the machine is rebooted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.camera.protocol import Camera, Shot
from edge.capture.candidate import ANSWER_S
from edge.capture.freshness import Freshness
from edge.config.tree import Config
from edge.errors import EXIT_REBOOT, CameraError, DeviceError, EndOfReplay
from edge.vision.frame import Frame

ATTEMPTS = 3
FAILED_SLOTS = 2
RESTARTS = 3
OPEN_BUDGET_S = 10.0
"""What opening a camera takes at most on a Pi that works; one that takes longer is for the watchdog."""
OBSERVE_BUDGET_S = 10.0
"""Model, thumbnail and append, on a slow card."""
COUNTERS = ("flushes", "reopens", "failed_slots", "restarts", "reboots", "memory_restarts")


@dataclass(slots=True)
class RecoveryState:
    """How often and how far the camera had to be recovered; kept in `capture.json` over restarts.

    counters: since the state directory was made. failed_in_a_row, restarts_in_a_row: since the last fresh frame.
    """

    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    failed_in_a_row: int = 0
    restarts_in_a_row: int = 0

    def count(self, counter: str) -> None:
        """Count one step of recovery."""
        self.counters[counter] = self.counters.get(counter, 0) + 1


class FrameTaker:
    """Takes the frames of one slot, recovering the camera as far as needed."""

    def __init__(self, camera: Camera, recovery: RecoveryState, freshness: Freshness) -> None:
        """The camera may still be closed: it is opened with the first attempt."""
        self._camera = camera
        self._recovery = recovery
        self._freshness = freshness
        self._open = False

    def take_frames(self, aim: Callable[[], Shot], count: int) -> tuple[Frame, ...]:
        """Return `count` fresh frames, each shot aimed anew.

        Raises:
            CameraError: all attempts failed; the last error.
            EndOfReplay: a replay has no more pictures.
            OperatorError: only a person can help, for example with a tuning file that is not there.
        """
        for attempt in range(ATTEMPTS):
            try:
                self._prepare(attempt)
                frames = tuple(self._freshness.checked(self._camera.capture(aim())) for _ in range(count))
            except EndOfReplay:
                raise
            except CameraError:
                if attempt == ATTEMPTS - 1:
                    self._recovery.count("failed_slots")
                    self._recovery.failed_in_a_row += 1
                    raise
            else:
                self._recovery.failed_in_a_row = 0
                self._recovery.restarts_in_a_row = 0
                return frames
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the camera."""
        self._camera.close()
        self._open = False

    def _prepare(self, attempt: int) -> None:
        """Make the camera ready for an attempt: flushed at the second, closed and opened again at the third."""
        if self._open and attempt == 1:
            self._recovery.count("flushes")
            self._camera.flush()
        elif self._open and attempt == 2:
            self._recovery.count("reopens")
            self.close()
        if not self._open:
            self._camera.open()
            self._open = True


def exit_code_after(recovery: RecoveryState) -> int | None:
    """Return the code to end the process with after a failed slot, or None to go on; it is counted."""
    if recovery.failed_in_a_row < FAILED_SLOTS:
        return None
    if recovery.restarts_in_a_row >= RESTARTS:
        recovery.count("reboots")
        recovery.restarts_in_a_row = 0  # the helper may refuse; then the ladder is climbed again
        return EXIT_REBOOT
    recovery.count("restarts")
    recovery.restarts_in_a_row += 1
    return DeviceError.exit_code


def worst_slot_s(config: Config) -> float:
    """Return how long one due slot may take while everything keeps to its bounds."""
    pi = config.camera.picamera
    frame_s = pi.capture_timeout_s + pi.settle_timeout_s
    return ATTEMPTS * config.schedule.burst_frames * frame_s + 2 * OPEN_BUDGET_S + OBSERVE_BUDGET_S + ANSWER_S
