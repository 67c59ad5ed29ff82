"""How much memory the process holds, and when it should end itself: between captures, not in the kernel's killer."""

from __future__ import annotations

import os
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_mb() -> float | None:
    """Return the resident set, MB (10^6 bytes); None where the system does not report it (not Linux)."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def over_ceiling(ceiling_mb: float) -> str | None:
    """Return the message for a process that holds more than its ceiling, else None."""
    resident = resident_mb()
    if resident is None or resident <= ceiling_mb:
        return None
    return f"{resident:.0f} MB of memory are held, at most {ceiling_mb:g} are allowed; the process restarts"
