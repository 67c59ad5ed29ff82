"""A stand-in for picamera2 that raises on anything the real API does not have, with scripted faults.

It follows picamera2 0.3.36: names, argument names, exceptions, and that the constructor removes
`LIBCAMERA_RPI_TUNING_FILE` from the environment unless it is given a tuning. Every class has slots, so that an
attribute the real one does not have raises AttributeError, and every method takes exactly the real arguments.
"""

from __future__ import annotations

import os
import sys
import time
import types
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CONTROLS = {
    "AeEnable": (False, True, None),
    "AfMode": (0, 2, 0),
    "AnalogueGain": (1.0, 16.0, None),
    "AwbEnable": (False, True, None),
    "ColourGains": (0.0, 32.0, None),
    "ExposureTime": (1, 66_666_666, None),
    "FrameDurationLimits": (33_333, 120_000, None),
    "LensPosition": (0.0, 32.0, 1.0),
}


@dataclass(slots=True)
class Script:
    """What the stand-in does; tests change it.

    faults: request number (from 1) -> "timeout", "cancelled", "stale", "identical" or "no_timestamp".
    settle_frames: how many frames pass until a control shows in the metadata.
    size_given: what `configure` makes of the size, None for what was asked.
    """

    models: list[str] = field(default_factory=lambda: ["imx708_noir"])
    controls: dict[str, tuple[Any, Any, Any]] = field(default_factory=lambda: dict(CONTROLS))
    faults: dict[int, str] = field(default_factory=dict)
    settle_frames: int = 3
    size_given: tuple[int, int] | None = None
    busy: bool = False
    never_settles: bool = False
    stop_fails: bool = False
    requests: int = 0
    held: int = 0
    given: np.ndarray | None = None
    opened: int = 0
    calls: list[str] = field(default_factory=list)
    tuning_seen: list[str | None] = field(default_factory=list)


class CompletedRequest:
    """A frame that the caller holds until `release`."""

    __slots__ = ("_array", "_metadata", "_released", "_script")

    def __init__(self, script: Script, array: np.ndarray, metadata: dict[str, Any]) -> None:
        self._script, self._array, self._metadata, self._released = script, array, metadata, False
        script.held += 1

    def make_array(self, name: str) -> np.ndarray:
        self._check()
        if name != "main":
            raise KeyError(f"Stream {name!r} is not defined")
        self._script.given = self._array.copy()  # as the real one does: `make_buffer` copies what it has mapped
        return self._script.given

    def get_metadata(self) -> dict[str, Any]:
        self._check()
        return self._metadata

    def release(self) -> None:
        self._check()
        self._released = True
        self._script.held -= 1
        self._array[:] = 0  # the buffer goes back to the camera, which writes the next frame into it

    def _check(self) -> None:
        if self._released:
            raise RuntimeError("the request was released")


def make_class(script: Script) -> type:
    """Return a Picamera2 class that follows the script."""

    class Picamera2:
        __slots__ = (
            "_applied",
            "_config",
            "_configured",
            "_last",
            "_rng",
            "_since",
            "_started",
            "camera_controls",
            "camera_properties",
        )

        @staticmethod
        def global_camera_info() -> list[dict[str, Any]]:
            script.tuning_seen.append(os.environ.get("LIBCAMERA_RPI_TUNING_FILE"))
            return [
                {"Model": model, "Location": 2, "Rotation": 180, "Id": f"/base/{model}", "Num": number}
                for number, model in enumerate(script.models)
            ]

        def __init__(
            self, camera_num: int = 0, verbose_console: int | None = None, tuning: str | dict[str, Any] | None = None
        ) -> None:
            if isinstance(tuning, str):
                os.environ["LIBCAMERA_RPI_TUNING_FILE"] = tuning
            elif tuning is None:
                os.environ.pop("LIBCAMERA_RPI_TUNING_FILE", None)
            if script.busy:
                raise RuntimeError("Camera __init__ sequence did not complete.")
            script.opened += 1
            script.calls.append("open")
            self._configured: dict[str, Any] | None = None
            self._started = False
            self._applied: dict[str, Any] = {}
            self._since = 0
            self._rng = np.random.default_rng(script.opened)
            self._last: np.ndarray | None = None
            self._config: dict[str, Any] = {}
            self.camera_controls = dict(script.controls)
            self.camera_properties = {"Model": script.models[camera_num]}

        def create_still_configuration(
            self,
            main: dict[str, Any] | None = None,
            lores: dict[str, Any] | None = None,
            raw: dict[str, Any] | None = None,
            transform: Any = None,
            colour_space: Any = None,
            buffer_count: int = 1,
            controls: dict[str, Any] | None = None,
            display: str | None = None,
            encode: str | None = None,
            queue: bool = True,
            sensor: dict[str, Any] | None = None,
            use_case: str = "still",
        ) -> dict[str, Any]:
            return {"main": dict(main or {}), "buffer_count": buffer_count, "queue": queue}

        def configure(self, camera_config: dict[str, Any] | str | None = "preview") -> None:
            if self._started:
                raise RuntimeError("Camera must be stopped before configuring")
            if not isinstance(camera_config, dict) or camera_config["main"].get("format") not in ("BGR888", "RGB888"):
                raise RuntimeError("Bad configuration")
            self._config = camera_config
            size = script.size_given or camera_config["main"]["size"]
            self._configured = {"size": size, "format": camera_config["main"]["format"], "stride": size[0] * 3}

        def camera_configuration(self) -> dict[str, Any]:
            return {"main": self._configured}

        def start(self, config: Any = None, show_preview: bool | None = False) -> None:
            if self._configured is None:
                raise RuntimeError("Camera has not been configured")
            self._started = True
            script.calls.append("start")

        def set_controls(self, controls: dict[str, Any]) -> None:
            for name in controls:
                if name not in self.camera_controls:
                    raise RuntimeError(f"Control {name} is not advertised by libcamera")
            self._applied |= controls
            self._since = 0
            script.calls.append("set_controls")

        def capture_metadata(self, wait: bool | float | None = None, signal_function: Any = None) -> dict[str, Any]:
            request = self.capture_request(wait)
            metadata = request.get_metadata()
            request.release()
            return metadata

        def capture_request(
            self, wait: bool | float | None = None, signal_function: Any = None, flush: Any = None
        ) -> CompletedRequest:
            if not self._started:
                raise RuntimeError("Camera is not started")
            if wait is None or wait is True:
                raise AssertionError("a wait without a bound waits for ever when the driver is stuck")
            script.requests += 1
            fault = script.faults.get(script.requests)
            if fault == "timeout":
                time.sleep(min(float(wait), 0.05))
                raise TimeoutError
            if fault == "cancelled":
                raise CancelledError
            return CompletedRequest(script, self._picture(fault), self._metadata(fault))

        def cancel_all_and_flush(self) -> None:
            script.calls.append("flush")

        def stop(self) -> None:
            script.calls.append("stop")
            if script.stop_fails:
                raise RuntimeError("Failed to stop camera")
            self._started = False

        def close(self) -> None:
            script.calls.append("close")

        def _picture(self, fault: str | None) -> np.ndarray:
            assert self._configured is not None
            width, height = self._configured["size"]
            if fault == "identical" and self._last is not None:
                return self._last.copy()
            picture = self._rng.integers(60, 180, (height, width, 3)).astype(np.uint8)
            self._last = picture.copy()
            return picture

        def _metadata(self, fault: str | None) -> dict[str, Any]:
            self._since += 1
            shown = not script.never_settles and self._since > script.settle_frames
            exposed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - (10**9 if fault == "stale" else 0)
            metadata: dict[str, Any] = {"SensorTimestamp": exposed_ns, "Lux": 12.5, "FocusFoM": 400, "DigitalGain": 1.0}
            if fault == "no_timestamp":
                del metadata["SensorTimestamp"]
            for name, other in (("ExposureTime", 20_000), ("AnalogueGain", 1.0)):
                wanted = self._applied.get(name)
                metadata[name] = wanted if shown and wanted is not None else other
            if "ColourGains" in self._applied:
                metadata["ColourGains"] = self._applied["ColourGains"]
            return metadata

    return Picamera2


def install(script: Script, into: Callable[[Any, str, Any], None]) -> None:
    """Put the stand-in where `import picamera2` finds it; `into` is pytest's `monkeypatch.setitem`."""
    module = types.ModuleType("picamera2")
    module.Picamera2 = make_class(script)  # type: ignore[attr-defined]
    into(sys.modules, "picamera2", module)
