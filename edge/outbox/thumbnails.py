"""The pictures beside the outbox: one file a picture, named by its sha256, on the disk before the row that names it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edge.errors import DiskFull, StorageError

FOLDER = "thumbnails"
_FULL = (28, 122)  # ENOSPC, EDQUOT


class Thumbnails:
    """The folder. `step` is called between any two steps that a power cut could part."""

    def __init__(self, folder: Path, step: Callable[[str], None]) -> None:
        """Make the folder where it is missing.

        Raises:
            StorageError: it cannot be made.
        """
        self._folder = folder / FOLDER
        self._step = step
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise _translated(error, self._folder) from error

    def write(self, sha256: str, content: bytes) -> None:
        """Store a picture; when this returns, file and name survive a power cut.

        Raises:
            DiskFull: no space is left; nothing remains of the attempt.
            StorageError: it cannot be written.
        """
        final, new = self._folder / f"{sha256}.jpg", self._folder / f"{sha256}.new"
        try:
            # Under its own name at once, where nothing has it: no row names it before it is whole, what a power cut
            # leaves of it is swept, and the file system's journal has one change to write instead of two.
            place = new if final.exists() else final
        except OSError as error:
            raise _translated(error, final) from error
        try:
            file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            try:
                self._step("thumbnail opened")
                view = memoryview(content)
                while view:
                    view = view[os.write(file, view) :]
                self._step("thumbnail written")
                os.fsync(file)
            finally:
                os.close(file)
            self._step("thumbnail synced")
            if place != final:
                os.replace(new, final)
            self._step("thumbnail named")
            sync_folder(self._folder)
        except OSError as error:
            place.unlink(missing_ok=True)
            raise _translated(error, final) from error

    def remove(self, sha256: str) -> None:
        """Delete a picture that no row names any more; a power cut before the next sync leaves an orphan to sweep."""
        (self._folder / f"{sha256}.jpg").unlink(missing_ok=True)

    def sweep(self, named: set[str]) -> int:
        """Delete every file that no row names, and return how many there were."""
        swept = 0
        for path in self._folder.iterdir():
            if path.suffix == ".new" or (path.suffix == ".jpg" and path.stem not in named):
                path.unlink(missing_ok=True)
                swept += 1
        return swept


def sync_folder(folder: Path) -> None:
    """Make the folder's names survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _translated(error: OSError, path: Path) -> StorageError:
    if error.errno in _FULL:
        return DiskFull(f"{path}: no space left on the disk; free some, or lower outbox.max_mb")
    return StorageError(f"{path}: {error.strerror}")
