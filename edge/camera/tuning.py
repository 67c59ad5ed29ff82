"""Which tuning file libcamera will load, found before the camera's manager exists.

A NoIR module cannot be distinguished from one with a filter, and on the wrong file pictures come out too dark for
months without an error. libcamera reads `LIBCAMERA_RPI_TUNING_FILE` when its manager enumerates the cameras, so the
file is named before, and what was named then is what was loaded. Raspberry Pi 5 has another folder (`pisp`) than its
predecessors.
"""

from __future__ import annotations

from pathlib import Path

from edge.errors import OperatorError

VARIABLE = "LIBCAMERA_RPI_TUNING_FILE"
COMPATIBLE = Path("/proc/device-tree/compatible")
ROOTS = (Path("/usr/local/share/libcamera/ipa/rpi"), Path("/usr/share/libcamera/ipa/rpi"))


def find_tuning_file(name: str, *, compatible: Path = COMPATIBLE, roots: tuple[Path, ...] = ROOTS) -> Path:
    """Return the file that a setting names: an absolute path, or a name in this Pi generation's own folder.

    Raises:
        OperatorError: there is no such file.
    """
    given = Path(name)
    if given.is_absolute():
        candidates = [given]
    else:
        pipeline = "pisp" if _is_pi5(compatible) else "vc4"
        candidates = [root / pipeline / name for root in roots]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    places = ", ".join(str(candidate) for candidate in candidates)
    raise OperatorError(f"camera.picamera.tuning_file: expected a file at {places}, found none; check the name")


def _is_pi5(compatible: Path) -> bool:
    try:
        return b"bcm2712" in compatible.read_bytes()
    except OSError:
        return False
