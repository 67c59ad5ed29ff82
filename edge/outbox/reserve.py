"""A file that holds space for bad times: SQLite cannot even delete on a full disk."""

from __future__ import annotations

import os
from pathlib import Path

from edge.outbox.database import free_bytes

FILE = "reserve"
MARGIN_BYTES = 4_000_000


class Reserve:
    """Given up at the first "no space left", taken back once there is room again."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        """Nothing is written before `take_back`."""
        self.folder, self.size_bytes = folder, size_bytes
        self._path = folder / FILE

    def given_up(self) -> bool:
        """Return whether there should be a reserve and is none."""
        return self.size_bytes > 0 and not self._path.exists()

    def give_up(self) -> None:
        """Free the space."""
        self._path.unlink(missing_ok=True)

    def take_back(self) -> bool:
        """Return whether the reserve is held now; it is only taken where a margin stays free."""
        if not self.given_up():
            return True
        if free_bytes(self.folder) < self.size_bytes + MARGIN_BYTES:
            return False
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(file, 0, self.size_bytes)
                os.fsync(file)
            finally:
                os.close(file)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True
