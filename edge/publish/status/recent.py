"""The readings of the last days at a glance, kept up as they come: no summary reads a week of bodies again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from edge.outbox.reader import Reader
from edge.publish.status.summary import Glance, look_over

DAYS = 8.0
"""A summary's week, and a day for clocks that were set."""
MOST = 5000
PAGE = 100
"""Bodies in memory at once: 5,000 of 4 kB each made publish grow by 20 MB within days."""


class Recent:
    """Glances at the newest readings, oldest first; only new rows are read."""

    def __init__(self, outbox: Reader) -> None:
        """Nothing is read yet."""
        self._outbox = outbox
        self._seen: deque[Glance] = deque(maxlen=MOST)
        self._after = 0
        self._replaced = -1

    def until(self, newest: datetime) -> Sequence[Glance]:
        """Return the readings of the days up to the newest one, at most 5,000.

        Raises:
            StorageError: the outbox cannot be read; what was read is kept, the next call goes on.
        """
        if self._outbox.replaced != self._replaced:  # another file counts its rows anew
            self._seen.clear()
            self._after, self._replaced = max(0, self._outbox.last_number() - MOST), self._outbox.replaced
        while True:
            number, rows = self._outbox.readings_after(self._after, PAGE)
            self._seen.extend(look_over(rows))
            if number == self._after:
                break
            self._after = number
        begin = newest - timedelta(days=DAYS)
        while self._seen and self._seen[0].at < begin:
            self._seen.popleft()
        return self._seen
