"""What the machine says of itself: temperature, throttling, memory, disk; None or empty where it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_BITS = {
    0: "undervoltage",
    1: "frequency_capped",
    2: "throttled",
    3: "soft_temperature_limit",
    16: "undervoltage_occurred",
    17: "frequency_capped_occurred",
    18: "throttled_occurred",
    19: "soft_temperature_limit_occurred",
}
"""Bits of the Raspberry Pi firmware's get_throttled."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One look at the machine. Temperatures are degrees Celsius, sizes bytes."""

    uptime_s: float
    cpu_temperature_c: float | None
    throttled: tuple[str, ...]
    disk_free_bytes: int
    disk_used_fraction: float
    memory_available_bytes: int | None
    rss_bytes: int | None


def look_at_machine(folder: Path) -> Machine:
    """Return what is known now; `folder` names the file system that matters."""
    disk = shutil.disk_usage(folder)
    return Machine(
        uptime_s=_uptime_s(),
        cpu_temperature_c=_temperature_c(),
        throttled=_throttled(),
        disk_free_bytes=disk.free,
        disk_used_fraction=disk.used / disk.total if disk.total else 0.0,
        memory_available_bytes=_kilobytes(Path("/proc/meminfo"), "MemAvailable:"),
        rss_bytes=_kilobytes(Path("/proc/self/status"), "VmRSS:"),
    )


def _uptime_s() -> float:
    try:
        return float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0.0


def _temperature_c() -> float | None:
    try:
        return int(_THERMAL.read_text()) / 1000.0
    except (OSError, ValueError):
        return None


def _throttled() -> tuple[str, ...]:
    text = ""
    try:
        text = _THROTTLED.read_text().strip()
    except OSError:
        program = shutil.which("vcgencmd")
        if program is not None:
            try:
                said = subprocess.run(
                    [program, "get_throttled"], capture_output=True, text=True, timeout=3, check=False
                )
                text = said.stdout.strip().rpartition("=")[2]
            except (OSError, subprocess.SubprocessError):
                text = ""
    try:
        value = int(text, 16)
    except ValueError:
        return ()
    return tuple(name for bit, name in _BITS.items() if value >> bit & 1)


def _kilobytes(path: Path, key: str) -> int | None:
    try:
        line = next(line for line in path.read_text().splitlines() if line.startswith(key))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def machine_name() -> str:
    """Return the board's model, or the kernel's name for the machine."""
    try:
        return Path("/proc/device-tree/model").read_text().strip("\0\n ")
    except OSError:
        return os.uname().machine
