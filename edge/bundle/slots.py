"""`<state_dir>/bundles`: one file a bundle under `slots/`, and the links `active`, `previous` and `shadow.bundle`.

A slot file is never written again once a link names it. Every step is made durable before the next one, so that a power
cut leaves the old link or the new one, each with a whole file behind it, and never none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge.contract.bundle.bundle import MAX_BYTES, Bundle
from edge.errors import DiskFull

FOLDER = "bundles"
ACTIVE, PREVIOUS, SHADOW = "active.bundle", "previous.bundle", "shadow.bundle"
_SLOTS = "slots"
_CHUNK = 1 << 20
SPARE_BYTES = 16_000_000
"""Left free by a copy: readings come before models."""


class Slots:
    """The folder of one device. Its user alone may write it; everybody in the group reads."""

    def __init__(self, state_dir: Path) -> None:
        """Nothing is made before the first write."""
        self.folder = state_dir / FOLDER
        self._slots = self.folder / _SLOTS

    def copy_in(self, source: int) -> Path:
        """Return a candidate: a durable copy of the open file, cut off one byte above the cap.

        What is verified is this copy, so that nobody can change the file between its check and its use.

        Raises:
            DiskFull: there is no room for it.
            OSError: it cannot be read or written; nothing is left behind.
        """
        self._slots.mkdir(mode=0o750, parents=True, exist_ok=True)
        candidate = self._slots / ".candidate"
        candidate.unlink(missing_ok=True)
        self._check_room(min(os.fstat(source).st_size, MAX_BYTES))
        try:
            with os.fdopen(os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:
                os.lseek(source, 0, os.SEEK_SET)
                left = MAX_BYTES + 1
                while left and (chunk := os.read(source, min(_CHUNK, left))):
                    file.write(chunk)
                    left -= len(chunk)
                file.flush()
                os.fchmod(file.fileno(), 0o640)
                os.fsync(file.fileno())
        except OSError:
            candidate.unlink(missing_ok=True)
            raise
        return candidate

    def _check_room(self, wanted: int) -> None:
        state = os.statvfs(self._slots)
        free = state.f_bavail * state.f_frsize
        if free < wanted + SPARE_BYTES:
            raise DiskFull(
                f"{self.folder}: expected {(wanted + SPARE_BYTES) / 1e6:.0f} MB free, of which "
                f"{SPARE_BYTES / 1e6:.0f} MB are for readings, got {free / 1e6:.0f} MB; free some space"
            )

    def keep(self, candidate: Path, bundle: Bundle) -> Path:
        """Give a verified candidate its place under `slots/` and return it."""
        place = self._slots / f"{bundle.manifest.release:06d}-{bundle.sha256[:16]}.bundle"
        os.replace(candidate, place)
        _sync(self._slots)
        return place

    def activate(self, slot: Path, *, displace: bool = True) -> None:
        """Make `slot` the active one. Atomic.

        displace: the one before it becomes `previous.bundle`; else that stays what it is.
        """
        before = self.target(ACTIVE)
        if displace and before is not None and before != slot:
            self._link(PREVIOUS, before)
        self._link(ACTIVE, slot)

    def go_back(self) -> None:
        """Make the previous slot the active one for good; there is no previous one afterwards, nor the active one."""
        previous = self.target(PREVIOUS)
        assert previous is not None
        self._link(ACTIVE, previous)
        (self.folder / PREVIOUS).unlink(missing_ok=True)
        _sync(self.folder)
        self.sweep()

    def swap(self) -> None:
        """Make the previous slot the active one, and the other way round."""
        active, previous = self.target(ACTIVE), self.target(PREVIOUS)
        assert active is not None
        assert previous is not None
        self._link(ACTIVE, previous)
        self._link(PREVIOUS, active)

    def shade(self, slot: Path) -> None:
        """Make a slot the candidate that runs beside the active one."""
        self._link(SHADOW, slot)

    def unshade(self) -> None:
        """Have no candidate any more; its slot goes with the next sweep."""
        (self.folder / SHADOW).unlink(missing_ok=True)
        _sync(self.folder)

    def target(self, link: str) -> Path | None:
        """Return the slot file that a link names, None where there is none."""
        try:
            slot = self.folder / os.readlink(self.folder / link)
        except OSError:
            return None
        return slot if slot.is_file() else None

    def sweep(self) -> None:
        """Remove what no link names: slots of long ago, half-made candidates."""
        kept = {self.target(ACTIVE), self.target(PREVIOUS), self.target(SHADOW)}
        for path in self._files():
            if path not in kept:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[Path]:
        return iter(sorted(self._slots.iterdir())) if self._slots.is_dir() else iter(())

    def _link(self, name: str, slot: Path) -> None:
        fresh = self.folder / f".{name}"
        fresh.unlink(missing_ok=True)
        # Relative, so that the state directory may be looked at from elsewhere (a card in a reader).
        fresh.symlink_to(os.path.relpath(slot, self.folder))
        os.replace(fresh, self.folder / name)
        _sync(self.folder)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a small file so that a power cut leaves the old content or the new."""
    fresh = path.with_name(f".{path.name}")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(file.fileno(), 0o640)
        os.fsync(file.fileno())
    os.replace(fresh, path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
