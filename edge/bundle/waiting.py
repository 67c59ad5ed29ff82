"""Is a file in the inbox ready to be taken, or is somebody still writing it?

A container knows its own length, so a copy that pauses is not taken for one that is complete, whatever brings it: `cp`,
`scp`, `sftp`, a rename. Where the kernel reports whether a writer has the file open (a lease: for the file's own user,
or with rights that the unit does not have), that counts too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.contract.bundle.container import how_far

STILL_S = 2.0
"""How long a file that seems complete, or is no bundle at all, must have stayed as it is."""
UNREADABLE_S = 10.0
"""Some programs (`install`) give the reader his right only when the copy is complete."""
UNFINISHED_S = 600.0
"""How long an unfinished file may stay as it is before it is given up."""
OPEN_S = 3600.0
"""How long to wait for a file that somebody has open for writing."""

State = Literal["ready", "wait", "unfinished"]
_Version = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Seen:
    version: _Version
    since_s: float


class InboxWatch:
    """What was seen of the files in the inbox, from one look to the next."""

    def __init__(self, unfinished_s: float = UNFINISHED_S) -> None:
        """Nothing was seen yet. unfinished_s: how long an unfinished file may stay as it is before it is given up."""
        self._unfinished_s = unfinished_s
        self.reasons: dict[Path, str] = {}
        """Why each file that has to be waited for is not taken, and how long it is waited for."""
        self._seen: dict[Path, _Seen] = {}

    def look(self, path: Path) -> State:
        """Return whether a file may be taken now, has to be waited for, or has been waited for long enough."""
        state, reason = self._look(path)
        self.reasons.pop(path, None)
        if state == "wait" and reason:
            self.reasons[path] = reason
        return state

    def _look(self, path: Path) -> tuple[State, str]:
        try:
            state = path.lstat()
        except OSError:
            return "wait", ""  # it is gone, or will be looked at again
        quiet_s = self._quiet_s(path, state)
        if not stat.S_ISREG(state.st_mode):
            return "ready", ""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return _until(quiet_s, UNREADABLE_S, f"it cannot be read yet ({error.strerror})")
        try:
            written, far = _is_being_written(handle), how_far(handle)
        except OSError as error:
            return _until(quiet_s, UNREADABLE_S, f"it cannot be read yet ({error.strerror})")
        finally:
            os.close(handle)
        if written and quiet_s < OPEN_S:
            return "wait", f"a program has it open for writing; it is given up {_minutes(OPEN_S)} after its last change"
        if far == "unfinished":
            reason = f"it is incomplete, {state.st_size} bytes so far"
            waited, text = _until(quiet_s, self._unfinished_s, reason)
            return "unfinished" if waited == "ready" else "wait", text
        return ("ready", "") if written is False or quiet_s >= STILL_S else ("wait", "")

    def _quiet_s(self, path: Path, state: os.stat_result) -> float:
        """Return for how long nothing changed: by the file's own times, or by the looks where the clock was set."""
        version = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        now_s = time.monotonic()
        seen = self._seen.get(path)
        if seen is None or seen.version != version:
            seen = self._seen[path] = _Seen(version, now_s)
        by_clock_s = time.time() - state.st_ctime  # a copy may bring its old time of writing along, never this one
        return max(by_clock_s, now_s - seen.since_s)


def _until(quiet_s: float, limit_s: float, reason: str) -> tuple[State, str]:
    if quiet_s >= limit_s:
        return "ready", ""
    return "wait", f"{reason}; it is given up {_minutes(limit_s)} after its last change"


def _minutes(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 60 else f"{seconds / 60:g} min"


def _is_being_written(handle: int) -> bool | None:
    """Return whether anybody has the file open for writing, None where the kernel does not report it."""
    with contextlib.suppress(OSError):
        # Should somebody open it while the lease is held, the kernel sends a signal, whose default must not end us.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        try:
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False
    return None
