"""The board itself: its serial number, by which a cloned card is noticed."""

from __future__ import annotations

from pathlib import Path

_SOURCES = (Path("/proc/device-tree/serial-number"), Path("/sys/firmware/devicetree/base/serial-number"))
_MACHINE_ID = Path("/etc/machine-id")


def board_serial() -> str:
    """Return the Raspberry Pi's serial; elsewhere `machine-` and the system's id, or "unknown"."""
    for source in _SOURCES:
        text = _read(source)
        if text:
            return text
    machine = _read(_MACHINE_ID)
    return f"machine-{machine}" if machine else "unknown"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip("\0\n ")
    except OSError:
        return ""
