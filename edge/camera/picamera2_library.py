"""What the library picamera2 says in its own words, in ours: its absence, its errors, a frame's metadata."""

from __future__ import annotations

from typing import Any

from edge.contract.reading import CameraState
from edge.errors import CameraBusy, CameraError, CameraMissing


def import_picamera2() -> Any:
    """Return the class Picamera2.

    Raises:
        CameraMissing: the library cannot be imported.
    """
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise CameraMissing(
            f"picamera2 cannot be imported ({error}); apt-get install --no-install-recommends python3-picamera2, and "
            "make the environment with --system-site-packages"
        ) from error
    return Picamera2


def translated(error: Exception) -> CameraError:
    """Return the library's error as one of ours: no such camera, held by another process, or failed."""
    text = str(error) or type(error).__name__
    if isinstance(error, IndexError):
        return CameraMissing(f"there is no such camera ({text})")
    if any(part in text.lower() for part in ("busy", "acquire", "in use", "did not complete")):
        return CameraBusy(f"the camera cannot be opened, another process may hold it ({text})")
    return CameraError(f"the camera failed: {text}")


def state_of(metadata: dict[str, Any], *, model: str, width: int, height: int) -> CameraState:
    """Return what a frame's metadata say of it; None where the camera says nothing. width, height: pixels."""
    gains = metadata.get("ColourGains")
    return CameraState(
        backend="picamera",
        model=model,
        width=width,
        height=height,
        exposure_us=_number(metadata.get("ExposureTime")),
        analogue_gain=_number(metadata.get("AnalogueGain")),
        digital_gain=_number(metadata.get("DigitalGain")),
        colour_gains=None if gains is None else (float(gains[0]), float(gains[1])),
        lens_position=_number(metadata.get("LensPosition")),
        lux=_number(metadata.get("Lux")),
        focus_measure=_number(metadata.get("FocusFoM")),
        sensor_temperature_c=_number(metadata.get("SensorTemperature")),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
