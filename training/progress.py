"""Progress with the time left, on standard error: redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], total: int, what: str, done: int = 0) -> Iterator[T]:
    """Yield the items, telling how many of `total` are done and how long the rest takes; `done` were done before."""
    begin = shown = time.monotonic()
    live = sys.stderr.isatty()
    for number, item in enumerate(items, done + 1):
        yield item
        now = time.monotonic()
        if now - shown > (0.5 if live else 20) or number == total:
            shown = now
            left = (now - begin) / (number - done) * (total - number)
            sys.stderr.write(
                f"{what}: {number}/{total}, {left:.0f} s left" + ("\r" if live and number < total else "\n")
            )
            sys.stderr.flush()
