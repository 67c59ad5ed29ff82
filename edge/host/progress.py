"""Progress with the time left, on standard error where that is a terminal; elsewhere not a word."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(items: Iterable[T], total: int | None, what: str) -> Iterator[T]:
    """Yield the items, telling how many are done, and how long the rest takes where a `total` is known or believed."""
    if not sys.stderr.isatty():
        yield from items
        return
    begin = shown = time.monotonic()
    try:
        for number, item in enumerate(items, 1):
            yield item
            now = time.monotonic()
            if now - shown > 0.5:
                shown = now
                _show(f"{what}: {_standing(number, total, now - begin)}")
    finally:
        _show("")


def _standing(done: int, total: int | None, took_s: float) -> str:
    if total is None or done > total:  # a video's own count may be wrong
        return f"{done}, {done / took_s:.1f} a second"
    return f"{done}/{total}, {done / took_s:.1f} a second, {took_s / done * (total - done):.0f} s left"


def _show(text: str) -> None:
    sys.stderr.write(f"\r{text}\x1b[K")  # what stood there before is cleared to the end of the line
    sys.stderr.flush()
