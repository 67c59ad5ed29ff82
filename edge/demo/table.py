"""The live table: one line a cage, redrawn in place on a terminal, printed now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from edge.demo.lab import DemoCage
from edge.demo.subscriber import Seen

_HEADER = (
    f"{'cage':<12} {'animal':<8} {'progress':<22} {'logged':>7} {'date':<11} {'outcome':<12} {'looks':>16} {'is':>7}"
)


class Table:
    """Draws at most every `every_s` seconds; `truth` gives an animal's age in days at a time."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        """Redraw in place only where the stream is a terminal."""
        self._stream = stream
        self._live = stream.isatty()
        self._every_s = 0.5 if self._live else 10.0
        self._drawn_at = -1e9
        self._lines = 0

    def draw(self, rows: Sequence[tuple[DemoCage, Seen, float | None]], *, final: bool = False) -> None:
        """Draw every cage with what was seen of it and the true age, days, of its animal at the newest reading."""
        now = time.monotonic()
        if not final and now - self._drawn_at < self._every_s:
            return
        self._drawn_at = now
        lines = [_HEADER, *(_line(*row) for row in rows)]
        if self._live and self._lines:
            self._stream.write(f"\x1b[{self._lines}A")
        ending = "\x1b[K\n" if self._live else "\n"
        self._stream.write("".join(line + ending for line in lines))
        self._stream.flush()
        self._lines = len(lines)


def weeks(days: float | None) -> str:
    """Return an age in weeks, or a dash."""
    return "-" if days is None else f"{days / 7:.0f} wk"


def _line(cage: DemoCage, seen: Seen, true_age_days: float | None) -> str:
    done = len(seen.readings) / cage.captures
    bar = "█" * int(done * 16) + "░" * (16 - int(done * 16))
    date = _date(seen.newest.captured_at) if seen.newest else "-"
    outcome = seen.newest.outcome.value if seen.newest else "-"
    looks = weeks(seen.age_days)
    if seen.interval_days is not None:
        low, high = seen.interval_days
        looks += f" ({low / 7:.0f}-{high / 7:.0f})"
    return (
        f"{cage.device_id:<12} {cage.subject:<8} {bar} {done:4.0%} {seen.committed:>7} {date:<11} {outcome:<12} "
        f"{looks:>16} {weeks(true_age_days):>7}"
    )


def _date(at: datetime) -> str:
    return at.strftime("%Y-%m-%d")
