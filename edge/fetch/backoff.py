"""When to try again: at growing, jittered intervals, so that a fleet does not ask in step."""

from __future__ import annotations

import random
import time

FIRST_S, LAST_S = 10.0, 6 * 3600.0


class Backoff:
    """Intervals that double from `first_s` to `last_s`; times are monotonic seconds."""

    def __init__(self, first_s: float = FIRST_S, last_s: float = LAST_S) -> None:
        """The first attempt comes within `first_s`."""
        self._first_s, self._last_s = first_s, last_s
        self.reset()

    def reset(self) -> None:
        """Begin anew: the next attempt comes within `first_s`."""
        self._next_s = self._first_s
        self._at_s = time.monotonic() + random.uniform(0.0, self._first_s)

    def due(self) -> bool:
        """Return whether to try now."""
        return time.monotonic() >= self._at_s

    def failed(self) -> float:
        """Note a failure; return in how many seconds the next attempt comes."""
        wait_s = self._next_s * random.uniform(0.5, 1.5)
        self._next_s = min(2 * self._next_s, self._last_s)
        self._at_s = time.monotonic() + wait_s
        return wait_s
