"""What a process that works for ever does with an exception that nobody foresaw: report it once, wait, go on.

Ending at once would be a start every few seconds for as long as the cause lasts, each with its traceback, and nobody
in the lab would hear of it. So the process waits ever longer, and ends only where it fails again and again: then a
fresh one may do better.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable

from edge.errors import DeviceError, describe_error

FIRST_S, LONGEST_S = 1.0, 32.0
MOST_IN_A_ROW = 6
"""The pauses before the end are 1, 2, 4, 8 and 16 seconds."""
WELL_S = 60.0
"""After so long without one the next exception is the first again."""
_SLICE_S = 0.2


class Unexpected:
    """Counts the unforeseen exceptions of one process."""

    def __init__(self, program: str, first_s: float = FIRST_S) -> None:
        """None has come yet. first_s: the first pause in seconds; each one after it is twice as long."""
        self._program, self._first_s = program, first_s
        self._in_a_row, self._last_s = 0, float("-inf")
        self._said: set[str] = set()

    def note(self, error: Exception) -> tuple[str, bool]:
        """Return a sentence on the exception, and whether it is news; then its traceback stands on standard error.

        Raises:
            DeviceError: it is one too many in a row.
        """
        now_s = time.monotonic()
        self._in_a_row = 1 if now_s - self._last_s > WELL_S + self.pause_s() else self._in_a_row + 1
        self._last_s = now_s
        text = f"{self._program} met an unexpected {describe_error(error, 400)}"
        # The same exception at another line is another fault.
        place = "".join(traceback.format_tb(error.__traceback__)[-1:])
        news = text + place not in self._said
        if news and len(self._said) < 100:
            self._said.add(text + place)
            traceback.print_exception(error, file=sys.stderr)
            print(f"{self._program}: please report the lines above", file=sys.stderr, flush=True)
        if self._in_a_row >= MOST_IN_A_ROW:
            raise DeviceError(f"{text}, {self._in_a_row} times in a row; it ends to be started anew") from error
        return text, news

    def pause_s(self) -> float:
        """Return how many seconds to wait before the next try."""
        return float(min(self._first_s * 2 ** max(0, self._in_a_row - 1), LONGEST_S))

    def wait(self, stopped: Callable[[], bool]) -> None:
        """Wait for so long, or until the end is asked for."""
        until_s = time.monotonic() + self.pause_s()
        while not stopped() and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _SLICE_S))
