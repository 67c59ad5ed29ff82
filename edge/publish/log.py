"""Lines on standard error for people: each state once, not once a try."""

from __future__ import annotations

import sys
import time

REPEAT_S = 3600.0


class StateLog:
    """Says a line when it is new for its subject, and again after an hour."""

    def __init__(self) -> None:
        """Nothing has been said."""
        self._said: dict[str, tuple[str, float]] = {}

    def report(self, subject: str, line: str, *, state: str | None = None) -> bool:
        """Print the line unless it was the last one on this subject within the hour; return whether it was said.

        state: what must change for another line to be news, where lines differ in a number only.
        """
        now_s, state = time.monotonic(), line if state is None else state
        before, at_s = self._said.get(subject, ("", 0.0))
        if state == before and now_s - at_s < REPEAT_S:
            return False
        self._said[subject] = (state, now_s)
        print(f"cageclock: {line}", file=sys.stderr, flush=True)
        return True

    def forget(self, subject: str) -> None:
        """Let the next line on a subject be said again: it was well in between."""
        self._said.pop(subject, None)
