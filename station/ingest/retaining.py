"""The running station's pass of retention: a part a second where nothing else is to be done, a pass a day."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from edge.errors import DatabaseDamaged
from station.store.retention import Rule
from station.store.store import Store

LOG = logging.getLogger("station")
PART_EVERY_S, AGAIN_S, ASK_S = 1.0, 86400.0, 600.0
"""Between two parts, between two passes, and before a part that failed is tried again."""


class Retaining:
    """Removes by the rules of the settings, in the station's name; without rules it does nothing."""

    def __init__(self, store: Store, rules: Sequence[Rule], name: str) -> None:
        """Begin a little after the start."""
        self._store, self._rules, self._who = store, tuple(rules), f"station {name}"
        self._next = time.monotonic() + PART_EVERY_S
        self._removed, self._running = 0, False

    def work(self) -> None:
        """Take the next part where it is due.

        Raises:
            DatabaseDamaged: only a person can put that right.
        """
        now = time.monotonic()
        if not self._rules or now < self._next:
            return
        self._next = now + PART_EVERY_S
        try:
            if not self._running and time.time() - self._store.last_retention_s(self._rules) < AGAIN_S:
                self._next = now + ASK_S
                return
            removed, complete = self._store.retain_part(self._rules, self._who, time.time())
        except DatabaseDamaged:
            raise
        except Exception as error:  # noqa: BLE001 - what looks after the log must not end it
            LOG.error("could not remove what retention names: %s: %s (trying again)", type(error).__name__, error)
            self._next = now + ASK_S
            return
        self._removed, self._running = self._removed + removed, not complete
        if complete:
            if self._removed:
                LOG.info("retention removed %d pictures and bodies; see the table retention_log", self._removed)
            self._removed = 0
