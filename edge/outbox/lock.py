"""Who may write: one process a file, by an advisory lock that the kernel lets go of with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from edge.errors import OperatorError, StorageError

_LOCKS = Path("/proc/locks")


class WriterLock:
    """Held from creation to `release`."""

    def __init__(self, path: Path, what: str) -> None:
        """Take the lock at `path`; `what` is the file that it guards.

        Raises:
            OperatorError: another process holds it.
            StorageError: the lock file cannot be made.
        """
        try:
            # No link is followed: it is emptied below, and `install-units` takes it as root in a folder of others.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}; correct the folder's owner or rights") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._file, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._file)
            raise OperatorError(f"{what}: process {owner} writes it already; stop that one first") from error
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError:  # a full disk: the number is for people, the lock itself holds without it
            pass

    def release(self) -> None:
        """Let the next one write."""
        os.close(self._file)


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock at `path`, by the kernel's list of locks.

    Trying the lock instead would take it for a moment, in which its owner could fail to start. Where there is no such
    list, the process whose number stands in the file is asked for.
    """
    try:
        inode, owner = path.stat().st_ino, path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return False
    if not owner.isdecimal():
        return False
    try:
        lines = [line.split() for line in _LOCKS.read_text().splitlines()]
    except OSError:
        return _lives(int(owner))
    # "1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF": process, device and inode
    return any(
        line[1] == "FLOCK" and line[4] == owner and line[5].endswith(f":{inode}") for line in lines if len(line) > 5
    )


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
