"""What a camera must do, whatever stands behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edge.contract.base import Scalar
from edge.contract.reading import Light
from edge.vision.frame import Frame


@dataclass(frozen=True, slots=True)
class Shot:
    """What the schedule asks for.

    triggered_at_s: CLOCK_BOOTTIME seconds; the frame must be exposed after it.
    light: the phase, which chooses the locked controls; UNKNOWN uses those of the light phase.
    """

    triggered_at_s: float
    light: Light


class Camera(Protocol):
    """A source of fresh frames. Every method returns or raises within a bounded time."""

    def open(self) -> None:
        """Make ready; may be called again after `close`.

        Raises:
            CameraMissing: no camera is there.
            CameraBusy: another process holds it.
            CameraTimeout: it does not answer within the bounded wait.
            CameraError: it answers with another fault.
        """

    def capture(self, shot: Shot) -> Frame:
        """Return one frame exposed after the trigger.

        Raises:
            CameraTimeout: no frame came within the bounded wait.
            FrameRefused: a frame came, but it is older than its trigger or identical to the last one.
            CameraError: the camera has another fault.
            EndOfReplay: a replay has no more pictures.
        """

    def flush(self) -> None:
        """Drop what is queued: the first rung of the recovery ladder."""

    def close(self) -> None:
        """Let go of the camera; never raises."""

    def describe(self) -> dict[str, Scalar]:
        """Return what it is, for `info`: backend, model, size, tuning file really loaded, controls it advertises."""
