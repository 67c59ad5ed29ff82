"""A camera module on the Raspberry Pi's own connector; the only place that drives picamera2.

Every wait is bounded. What cannot be bounded (a driver stuck in the kernel) is left to the process's watchdog: a thread
cannot be killed, a process can.
"""

from __future__ import annotations

import gc
import os
import sys
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
from msgspec.structs import replace

from edge.camera.controls import is_settled, requested_controls, split_by_advertised
from edge.camera.picamera2_library import import_picamera2, state_of, translated
from edge.camera.protocol import Shot
from edge.camera.tuning import VARIABLE, find_tuning_file
from edge.config.tree import Camera, Controls
from edge.contract.base import Scalar
from edge.contract.reading import Light
from edge.errors import CameraError, CameraMissing, CameraTimeout, FrameRefused
from edge.timing.clock import Clock
from edge.vision.frame import Frame


class PiCamera:
    """Fresh frames with locked controls, and what they really had."""

    def __init__(self, settings: Camera, clock: Clock) -> None:
        """Nothing is imported or opened until `open`."""
        self._settings = settings
        self._clock = clock
        self._device: Any = None
        self._model = "unknown"
        self._tuning_file: str | None = None
        self._advertised: tuple[str, ...] = ()
        self._wanted: dict[str, Any] = {}
        self._not_applied: tuple[str, ...] = ()
        self._controls: Controls | None = None

    def open(self) -> None:
        """Start the camera with a fixed size and no queue.

        Raises:
            OperatorError: the tuning file is not there.
            CameraMissing: no picamera2, or no such camera.
            CameraBusy: another process holds it.
            CameraError: it cannot be started, or libcamera was loaded before the tuning file was named.
        """
        self.close()
        tuning = self._name_tuning_file()
        device_class = import_picamera2()
        number = self._settings.picamera.number
        found = device_class.global_camera_info()
        if number >= len(found):
            raise CameraMissing(
                f"camera {number} is not there ({len(found)} found); check the cable, and dtoverlay in config.txt"
            )
        self._model = str(found[number].get("Model", "unknown"))
        try:
            # Without `tuning` the constructor removes the variable again.
            self._device = device_class(number, tuning=tuning)
            self._start()
        except (RuntimeError, OSError, IndexError) as error:
            self.close()
            raise translated(error) from error
        if tuning is not None and os.environ.get(VARIABLE) != tuning:
            self.close()
            raise CameraError(f"the tuning file {tuning} was not taken over by picamera2; update python3-picamera2")

    def capture(self, shot: Shot) -> Frame:
        """Return one frame exposed after the trigger with the locked controls of its phase.

        Raises:
            CameraTimeout: no frame came within `capture_timeout_s`, or the driver cancelled it.
            FrameRefused: only frames exposed before the trigger came.
            CameraError: anything else that the camera refuses.
        """
        if self._device is None:
            raise CameraError("the camera is not open")
        try:
            settled = self._lock_controls(shot.light)
            return self._take_fresh(shot, settled)
        except (TimeoutError, CancelledError) as error:
            limit_s = self._settings.picamera.capture_timeout_s
            raise CameraTimeout(f"no frame within {limit_s:g} s ({type(error).__name__})") from error
        except (RuntimeError, OSError, KeyError, AttributeError) as error:
            raise translated(error) from error

    def flush(self) -> None:
        """Cancel what waits and drop what is queued.

        Raises:
            CameraError: the camera refuses even that.
        """
        if self._device is None:
            return
        try:
            self._device.cancel_all_and_flush()
        except (RuntimeError, OSError) as error:
            raise translated(error) from error
        self._controls = None  # the next capture sets them anew and waits until they hold

    def close(self) -> None:
        """Stop and close the camera; errors on the way no longer matter."""
        device, self._device, self._controls = self._device, None, None
        if device is None:
            return
        for step in (device.stop, device.close):
            try:
                step()
            except Exception as error:  # noqa: BLE001 - a broken camera must not keep the process from reopening it
                print(f"cageclock: camera: {step.__name__} failed: {error}", file=sys.stderr)
        # picamera2's objects refer to each other in a circle: until the collector comes by, and on a quiet device that
        # is long, each camera that was let go keeps its descriptors (three a time, seen with vimc).
        del device, step
        gc.collect()

    def describe(self) -> dict[str, Scalar]:
        """Return model, size, the tuning file that was loaded and the controls that can be locked."""
        return {
            "backend": "picamera",
            "model": self._model,
            "width": self._settings.width,
            "height": self._settings.height,
            "tuning_file": self._tuning_file,
            "advertised_controls": " ".join(self._advertised),
        }

    def _name_tuning_file(self) -> str | None:
        name = self._settings.picamera.tuning_file
        if name is None:
            return None
        tuning = str(find_tuning_file(name))
        if "libcamera" in sys.modules and self._tuning_file != tuning:
            raise CameraError(f"libcamera was loaded before the tuning file {tuning} was named; start a new process")
        os.environ[VARIABLE] = tuning
        self._tuning_file = tuning
        return tuning

    def _start(self) -> None:
        """Configure one stream: `BGR888` is picamera2's name for numpy's RGB order.

        The small view is made from it by `edge.vision.views`, as in training, and not by the camera's own scaler.
        """
        size = (self._settings.width, self._settings.height)
        configuration = self._device.create_still_configuration(
            main={"size": size, "format": "BGR888"}, buffer_count=2, queue=False
        )
        self._device.configure(configuration)
        got = self._device.camera_configuration()["main"]
        if tuple(got["size"]) != size or got["format"] != "BGR888":
            raise CameraError(
                f"camera.width, camera.height: expected a size that the camera takes as it is, got {got['size']} "
                f"{got['format']} for {size} BGR888; set the size it names"
            )
        self._device.start()
        self._advertised = tuple(sorted(self._device.camera_controls))

    def _lock_controls(self, light: Light) -> bool:
        """Set the phase's controls and wait until a frame shows them; return whether one did within the limit."""
        settings = self._settings.picamera
        controls = settings.dark if light is Light.DARK else settings.light
        if controls == self._controls:
            return True
        self._wanted, self._not_applied = split_by_advertised(requested_controls(controls), self._advertised)
        if self._wanted:
            self._device.set_controls(self._wanted)
        until_s = self._clock.monotonic_s() + settings.settle_timeout_s
        settled = is_settled(self._wanted, {}) or not self._wanted
        while not settled:
            left_s = until_s - self._clock.monotonic_s()
            if left_s <= 0:
                return False  # not remembered: the next capture tries again; the frame has `settled: false`
            try:
                settled = is_settled(self._wanted, self._device.capture_metadata(wait=left_s))
            except TimeoutError:
                return False
        self._controls = controls
        return True

    def _take_fresh(self, shot: Shot, settled: bool) -> Frame:
        """Return the first frame exposed after the trigger. Queued older ones are given back."""
        until_s = self._clock.monotonic_s() + self._settings.picamera.capture_timeout_s
        older_by_s = 0.0
        refused = 0
        while True:
            left_s = until_s - self._clock.monotonic_s()
            if left_s <= 0 and refused:
                raise FrameRefused(f"{refused} frames came, the newest exposed {older_by_s:.3f} s before its trigger")
            request = self._device.capture_request(wait=max(left_s, 0.001))
            try:
                metadata = request.get_metadata()
                stamp = metadata.get("SensorTimestamp")
                if stamp is None:
                    raise CameraError("a frame came without SensorTimestamp, so its age is unknown; update libcamera")
                exposed_at_s = stamp / 1e9
                if exposed_at_s >= shot.triggered_at_s:
                    # picamera2 has copied it: the request's own memory goes back to the camera. What it gives as a
                    # window into padded rows is copied once more, into rows without padding.
                    main = np.ascontiguousarray(request.make_array("main"), dtype=np.uint8)
                    return self._frame(main, metadata, shot, exposed_at_s, settled)
                refused += 1
                older_by_s = shot.triggered_at_s - exposed_at_s
            finally:
                request.release()

    def _frame(self, main: Any, metadata: dict[str, Any], shot: Shot, exposed_at_s: float, settled: bool) -> Frame:
        height, width = main.shape[:2]
        state = replace(
            state_of(metadata, model=self._model, width=width, height=height),
            tuning_file=self._tuning_file,
            settled=settled and (not self._wanted or is_settled(self._wanted, metadata)),
            not_applied=self._not_applied,
        )
        return Frame(
            main=main,
            triggered_at_s=shot.triggered_at_s,
            exposed_at_s=exposed_at_s,
            state=state,
            px_per_mm=self._settings.px_per_mm,
            small_width=self._settings.small_width,
        )
