"""A script of camera faults: which capture of the process meets which fault."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import ConfigError

DEVICE_FAULTS = ("timeout", "busy", "stale", "identical", "slow", "unplugged", "hang", "leak")
"""What the camera itself does wrong; `edge.camera.faults` plays them on any camera."""
SCENE_FAULTS = ("dark", "overexposed", "condensation", "empty", "moved", "blur")
"""What is wrong with the picture; the simulated cage draws them."""
_RANGE = re.compile(r"([1-9][0-9]{0,8})(?:-([1-9][0-9]{0,8}))?")


@dataclass(frozen=True, slots=True)
class FaultScript:
    """Ranges of captures, counted from 1 in this process, with their faults. A retry is another capture."""

    ranges: tuple[tuple[int, int, str], ...] = ()

    def at(self, number: int) -> str | None:
        """Return the fault of one capture; the first range that holds it wins."""
        return next((fault for first, last, fault in self.ranges if first <= number <= last), None)


def parse_script(script: Mapping[str, str], path: str = "camera.simulated.faults") -> FaultScript:
    """Return the script that `{"3-5": "timeout", "9": "dark"}` describes.

    Raises:
        ConfigError: a key is no capture number or range, or a fault is unknown.
    """
    known = DEVICE_FAULTS + SCENE_FAULTS
    ranges = []
    for key, fault in script.items():
        match = _RANGE.fullmatch(key)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise ConfigError(path, "captures as a key, such as 7 or 3-5", repr(key))
        if fault not in known:
            raise ConfigError(f"{path}.{key}", f"one of {', '.join(known)}", repr(fault))
        ranges.append((int(match[1]), int(match[2] or match[1]), fault))
    return FaultScript(tuple(ranges))
