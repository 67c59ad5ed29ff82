"""Appending while the disk is full: slots pass and are counted, and a person at the terminal is informed once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from edge.errors import DiskFull
from edge.outbox import Outbox


class FullDiskGuard:
    """Knows what has been printed of a full disk."""

    def __init__(self, outbox: Outbox, state_dir: Path) -> None:
        """The disk has space until an append fails."""
        self._outbox, self._state_dir = outbox, state_dir
        self._is_refused = self._is_full_reported = False

    def run(self, append: Callable[[], None]) -> bool:
        """Return whether what was appended is durable; of a full disk the outbox is asked to make room."""
        try:
            append()
        except DiskFull as error:
            if not self._is_refused:
                print(f"cageclock: {error}. Readings cannot be kept until there is space", file=sys.stderr, flush=True)
            self._is_refused = True
            self._outbox.maintain()
            return False
        self._is_refused = False
        self._report()
        return True

    def _report(self) -> None:
        """Print once, each time that the disk fills up, that pictures are dropped while readings still fit."""
        if self._outbox.full and not self._is_full_reported:
            text = f"{self._state_dir}: no space left on the disk; free some, or lower outbox.max_mb"
            print(f"cageclock: {text}. Readings are kept, pictures are dropped", file=sys.stderr, flush=True)
        self._is_full_reported = self._outbox.full
