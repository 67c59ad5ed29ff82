"""Time: a monotonic clock that decides, a wall clock that only labels.

Whether the wall clock can be believed: timesyncd leaves `/run/systemd/timesync/synchronized` once it has set the clock
in this boot; chrony and ntpd leave no file but clear the kernel's "unsynchronised" state, which adjtimex(2) reports.
Either suffices. The file alone would never be true under chrony, adjtimex alone turns false again after some hours
without network, although the clock was set and drifts by a second or two a day only.
"""

from __future__ import annotations

import ctypes
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIMESYNC = Path("/run/systemd/timesync/synchronized")
POLL_S = 0.25
_TIME_ERROR = 5


class Clock(Protocol):
    """What the capture process asks of time."""

    @property
    def boot_id(self) -> str:
        """The boot within which `monotonic_s` counts."""

    def monotonic_s(self) -> float:
        """Return seconds of a clock that is never set and goes on during suspend (CLOCK_BOOTTIME)."""

    def now(self) -> datetime:
        """Return the wall clock's UTC time."""

    def synced(self) -> bool:
        """Return whether the wall clock has been set from the network or a time source in this boot."""

    def sleep_until(self, until_s: float, poll: Callable[[], bool]) -> bool:
        """Wait until a monotonic time; `poll` is asked all the while. Return False if it ended the wait."""


class SystemClock:
    """The machine's own time."""

    def __init__(self) -> None:
        """Read the boot's id, which does not change."""
        self._boot_id = BOOT_ID.read_text().strip().replace("-", "")

    @property
    def boot_id(self) -> str:
        """32 hex digits, new with each boot."""
        return self._boot_id

    def monotonic_s(self) -> float:
        """Return CLOCK_BOOTTIME, the clock of libcamera's SensorTimestamp."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def now(self) -> datetime:
        """Return the wall clock's UTC time."""
        return datetime.now(UTC)

    def synced(self) -> bool:
        """Return whether timesyncd or the kernel reports that the clock was set."""
        return TIMESYNC.exists() or _kernel_synchronised()

    def sleep_until(self, until_s: float, poll: Callable[[], bool]) -> bool:
        """Wait in slices, so that a signal, a command or the watchdog's tick is never late by more than a slice."""
        while True:
            if poll():
                return False
            left_s = until_s - self.monotonic_s()
            if left_s <= 0:
                return True
            time.sleep(min(left_s, POLL_S))


class SteppedClock:
    """A clock that jumps to the time it is asked to wait for: months pass in the time that the captures take."""

    def __init__(self, begins_at: datetime) -> None:
        """Start at a wall time, monotonic time 0, in a boot of its own."""
        self._begins_at = begins_at.astimezone(UTC)
        self._monotonic_s = 0.0
        self._boot_id = uuid.uuid4().hex

    @property
    def boot_id(self) -> str:
        """A random id."""
        return self._boot_id

    def monotonic_s(self) -> float:
        """Return the seconds jumped over so far."""
        return self._monotonic_s

    def now(self) -> datetime:
        """Return the start and what was jumped over."""
        return self._begins_at + timedelta(seconds=self._monotonic_s)

    def synced(self) -> bool:
        """Return True: a stepped clock is right by definition."""
        return True

    def sleep_until(self, until_s: float, poll: Callable[[], bool]) -> bool:
        """Jump."""
        if poll():
            return False
        self._monotonic_s = max(self._monotonic_s, until_s)
        return True


def _kernel_synchronised() -> bool:
    """Return whether adjtimex(2) reports a set clock.

    Reading needs no right. The struct is 208 bytes at most; only the call's result counts.
    """
    state = ctypes.create_string_buffer(512)  # modes = 0: read only
    try:
        result = ctypes.CDLL(None, use_errno=True).adjtimex(state)
    except (OSError, AttributeError):
        return False
    return 0 <= int(result) != _TIME_ERROR
