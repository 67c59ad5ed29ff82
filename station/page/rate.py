"""How often somebody may try something."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque

MOST_KEYS = 10_000


class Limit:
    """At most `times` tries in `window_s` seconds for each key; what is remembered is bounded."""

    def __init__(self, times: int, window_s: float) -> None:
        """Nothing was tried yet."""
        self._times, self._window_s = times, window_s
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: str) -> float:
        """Count a try and return 0, or return for how many seconds it is one too many."""
        now = time.monotonic()
        with self._lock:
            tries = self._tries.setdefault(key, deque())
            self._tries.move_to_end(key)
            while len(self._tries) > MOST_KEYS:
                self._tries.popitem(last=False)
            while tries and tries[0] <= now - self._window_s:
                tries.popleft()
            if len(tries) >= self._times:
                return tries[0] + self._window_s - now
            tries.append(now)
            return 0.0

    def forget(self, key: str) -> None:
        """Begin anew for a key: the password was right."""
        with self._lock:
            self._tries.pop(key, None)
