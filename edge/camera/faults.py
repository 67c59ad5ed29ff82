"""Any camera, with scripted faults of the device itself: it times out, is held by another, repeats itself.

What is wrong with the picture (dark, blurred, moved, ...) is drawn by the simulated cage. A retry is another capture,
so `{"3-5": "timeout"}` fails a slot that tries three times, and `{"3": "timeout"}` is recovered by a flush.
"""

from __future__ import annotations

from dataclasses import replace

from edge.camera.protocol import Camera, Shot
from edge.config.faultscript import FaultScript
from edge.contract.base import Scalar
from edge.errors import CameraBusy, CameraTimeout
from edge.frame import Frame

_STALE_S = 3600.0


class FaultyCamera:
    """Plays a script on the camera inside."""

    def __init__(self, camera: Camera, script: FaultScript) -> None:
        """Wrap a camera."""
        self._camera = camera
        self._script = script
        self._captures = 0
        self._last: Frame | None = None

    def open(self) -> None:
        """Open the camera inside."""
        self._camera.open()

    def capture(self, shot: Shot) -> Frame:
        """Return a frame, or fail as the script says.

        Raises:
            CameraTimeout, CameraBusy: scripted, besides what the camera inside raises.
        """
        self._captures += 1
        fault = self._script.at(self._captures)
        frame = self._camera.capture(shot)  # also where it gets lost: both count the same captures
        if fault == "timeout":
            raise CameraTimeout(f"scripted: no frame for capture {self._captures}")
        if fault == "busy":
            raise CameraBusy(f"scripted: another process holds the camera at capture {self._captures}")
        if fault == "stale":
            frame = replace(frame, exposed_at_s=shot.triggered_at_s - _STALE_S)
        if fault == "identical" and self._last is not None:
            frame = replace(frame, main=self._last.main, small=self._last.small, state=self._last.state)
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
