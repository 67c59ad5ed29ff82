"""The exact crops that the age model saw, kept on the device for later rescoring and retraining; the oldest go first.

`archive/<sha256 of the pixels' PNG>.png`. Not fsynced: a power cut may cost a crop, and its digest in
the reading still shows that there was one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from edge.config.tree import Archive as Settings
from edge.vision import image
from edge.vision.frame import Image

FOLDER = "archive"


class Archive:
    """A folder of PNG files below a ceiling."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Nothing is made or counted before the first crop."""
        self._folder = folder / FOLDER
        self._limit = settings.max_mb * 1_000_000
        self._enabled = settings.enabled
        self._size: int | None = None

    def keep(self, crops: Sequence[Image]) -> tuple[str, ...]:
        """Return the digests under which the crops were kept, without those that could not be."""
        if not self._enabled:
            return ()
        kept = [self._keep(crop) for crop in crops]
        self._trim()
        return tuple(digest for digest in kept if digest is not None)

    def _keep(self, crop: Image) -> str | None:
        data = image.encode_png(crop[..., 0] if crop.ndim == 3 and crop.shape[2] == 1 else crop)
        digest = hashlib.sha256(data).hexdigest()
        path = self._folder / f"{digest}.png"
        try:
            self._folder.mkdir(exist_ok=True)
            if not path.exists():
                path.write_bytes(data)
                self._size = self._measure() if self._size is None else self._size + len(data)
        except OSError:
            path.unlink(missing_ok=True)  # a full disk costs the crop, never the reading
            return None
        return digest

    def _trim(self) -> None:
        if self._size is None or self._size <= self._limit:
            return
        for _, path, size in sorted(self._entries()):
            if self._size <= self._limit * 0.95:
                return
            path.unlink(missing_ok=True)
            self._size -= size

    def _measure(self) -> int:
        return sum(size for _, _, size in self._entries())

    def _entries(self) -> list[tuple[int, Path, int]]:
        with os.scandir(self._folder) as entries:
            stats = [(entry, entry.stat()) for entry in entries if entry.name.endswith(".png")]
        return [(state.st_mtime_ns, Path(entry.path), state.st_size) for entry, state in stats]
