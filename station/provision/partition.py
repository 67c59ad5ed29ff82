"""The boot partition of a card: a mounted folder, or a FAT file system inside an image file, read and written alike."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Protocol

from edge.errors import DeviceError, DiskFull, OperatorError

MOST_BYTES = 1 << 30
"""Of a single file of the partition that is read: more than any boot partition holds."""


class Partition(Protocol):
    """The boot partition. Paths are relative, with `/`; FAT does not tell capitals from small letters."""

    name: str

    def read(self, path: str) -> bytes | None:
        """Return a file's content, None where there is none."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file, making its folders."""

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is none to remove."""

    def names(self, folder: str = "") -> list[str]:
        """Return every file below a folder, as paths; nothing where there is no such folder."""

    def free_bytes(self) -> int:
        """Return how much can still be written."""

    def flush(self) -> None:
        """Return once everything written has reached the card, so that it may be pulled out."""


class MountedPartition:
    """A boot partition that the machine has mounted."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; nothing is read yet."""
        self.folder, self.name = folder, str(folder)
        self._touched: set[Path] = set()

    def read(self, path: str) -> bytes | None:
        """Return a file's content as the card has it: pages in memory are let go of first."""
        try:
            with (self.folder / path).open("rb") as file:
                with contextlib.suppress(AttributeError, OSError):
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                return file.read(MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DeviceError(
                f"{self.folder / path}: cannot be read: {error.strerror}; is the card still in?"
            ) from error

    def write(self, path: str, content: bytes) -> None:
        """Write beside it, reach the card, then rename: a card pulled out early has the old file or the new one.

        Raises:
            DiskFull: the partition is full.
            OperatorError: it is mounted read-only, or belongs to somebody else.
            DeviceError: the card failed.
        """
        place = self.folder / path
        fresh = place.with_name(place.name + ".new")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._touched |= {place.parent, self.folder}
            with fresh.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, place)
        except OSError as error:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise _translated(error, place) from error

    def remove(self, path: str) -> None:
        """Remove a file, and its folder when that was its last one."""
        place = self.folder / path
        try:
            place.unlink(missing_ok=True)
        except OSError as error:
            raise _translated(error, place) from error
        with contextlib.suppress(OSError):
            place.parent.rmdir()

    def names(self, folder: str = "") -> list[str]:
        """Return every file below a folder."""
        top = self.folder / folder
        found = (one for one in top.rglob("*") if one.is_file()) if folder else top.iterdir()
        try:
            return sorted(str(PurePosixPath(one.relative_to(self.folder))) for one in found if one.is_file())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _translated(error, top) from error

    def free_bytes(self) -> int:
        """Return the free space of the file system."""
        return shutil.disk_usage(self.folder).free

    def flush(self) -> None:
        """Hand the folders' names to the card, too; the files were when they were written."""
        for folder in sorted(self._touched):
            with contextlib.suppress(OSError):
                handle = os.open(folder, os.O_RDONLY)
                try:
                    os.fsync(handle)
                finally:
                    os.close(handle)
        self._touched.clear()


def _translated(error: OSError, place: Path) -> Exception:
    if error.errno == errno.ENOSPC:
        return DiskFull(f"{place}: the boot partition is full; flash the card anew, or take a smaller set of wheels")
    if error.errno == errno.EROFS:
        return OperatorError(
            f"{place}: the card is mounted read-only; slide the adapter's lock, or mount it again for writing"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return OperatorError(f"{place}: no permission to write there; mount the card with your user's id, or use sudo")
    return DeviceError(f"{place}: {error.strerror}; take the card out, put it in again and repeat")
