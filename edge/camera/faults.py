"""Any camera, with scripted faults of the device itself: it times out, is held by another, repeats itself, goes away.

What is wrong with the picture (dark, blurred, moved, ...) is drawn by the simulated cage. A retry is another capture,
so `{"3-5": "timeout"}` fails a slot that tries three times, and `{"3": "timeout"}` is recovered by a flush.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from typing import NoReturn

from edge.camera.protocol import Camera, Shot
from edge.config.faultscript import FaultScript
from edge.contract.base import Scalar
from edge.errors import CameraBusy, CameraMissing, CameraTimeout
from edge.vision.frame import Frame

_STALE_S = 3600.0
_SLOW_S = 2.0
_LEAK_BYTES = 64 * 1024 * 1024


class FaultyCamera:
    """Plays a script on the camera inside."""

    def __init__(self, camera: Camera, script: FaultScript) -> None:
        """Wrap a camera."""
        self._camera = camera
        self._script = script
        self._captures = 0
        self._last: Frame | None = None
        self._leaked: list[bytearray] = []

    def open(self) -> None:
        """Open the camera inside.

        Raises:
            CameraMissing: scripted; the attempt counts as a capture, so that a script can plug it in again.
        """
        if self._script.at(self._captures + 1) == "unplugged":
            self._captures += 1
            raise CameraMissing(f"scripted: no camera is plugged in at capture {self._captures}")
        self._camera.open()

    def capture(self, shot: Shot) -> Frame:
        """Return a frame, or fail as the script has it.

        Raises:
            CameraTimeout, CameraBusy, CameraMissing: scripted, besides what the camera inside raises.
        """
        self._captures += 1
        fault = self._script.at(self._captures)
        if fault == "unplugged":
            raise CameraMissing(f"scripted: the camera went away at capture {self._captures}")
        if fault == "hang":
            _hang()
        frame = self._camera.capture(shot)  # also where it gets lost: both count the same captures
        if fault == "timeout":
            raise CameraTimeout(f"scripted: no frame for capture {self._captures}")
        if fault == "busy":
            raise CameraBusy(f"scripted: another process holds the camera at capture {self._captures}")
        if fault == "slow":
            time.sleep(_SLOW_S)
        if fault == "leak":
            self._leaked.append(bytearray(os.urandom(1) * _LEAK_BYTES))
        if fault == "stale":
            frame = replace(frame, exposed_at_s=shot.triggered_at_s - _STALE_S)
        if fault == "identical" and self._last is not None:
            frame = replace(frame, main=self._last.main, state=self._last.state)
        self._last = frame
        return frame

    def flush(self) -> None:
        """Flush the camera inside."""
        self._camera.flush()

    def close(self) -> None:
        """Close the camera inside."""
        self._camera.close()

    def describe(self) -> dict[str, Scalar]:
        """Return what the camera inside is."""
        return self._camera.describe()


def _hang() -> NoReturn:
    """Never return, and let no signal but SIGKILL end the process: as a driver that is stuck in the kernel."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP})
    while True:
        time.sleep(3600)
