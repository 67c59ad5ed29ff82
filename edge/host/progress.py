"""Progress with the time left, on standard error: redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_REDRAW_S = 0.5
LINE_S = 20.0


def progress(
    items: Iterable[T], total: int | None, what: str, *, done: int = 0, line_s: float | None = LINE_S
) -> Iterator[T]:
    """Yield the items, and show how many are done and how long the rest takes where a `total` is known or estimated.

    done: so many were done before. line_s: seconds between two lines where standard error is no terminal, and the last
    item always has its line there, so that a log tells that a short piece of work was done; None: nothing there.
    """
    live = sys.stderr.isatty()
    every_s = _REDRAW_S if live else line_s
    if every_s is None:
        yield from items
        return
    begin = shown = time.monotonic()
    try:
        for number, item in enumerate(items, done + 1):
            yield item
            now = time.monotonic()
            if now - shown > every_s or (not live and number == total):
                shown = now
                text = f"{what}: {_standing(number, number - done, total, now - begin)}"
                _redraw(text) if live else print(text, file=sys.stderr, flush=True)
    finally:
        if live:
            _redraw("")


def _standing(number: int, done: int, total: int | None, took_s: float) -> str:
    took_s = max(took_s, 1e-9)  # a coarse clock may not have moved
    if total is None or number > total:  # a video's own count may be wrong
        return f"{number}, {done / took_s:.1f} a second"
    return f"{number}/{total}, {done / took_s:.1f} a second, {took_s / done * (total - number):.0f} s left"


def _redraw(text: str) -> None:
    sys.stderr.write(f"\r{text}\x1b[K")  # what stood there before is cleared to the end of the line
    sys.stderr.flush()
