"""Raises an exception at a chosen line of the product while it runs: nothing of it is replaced."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[3]
FOLDERS = tuple(str(ROOT / name) + "/" for name in ("station", "edge/contract"))
Place = tuple[str, int]
"""File and line."""


def lines_of(work: Callable[[], object]) -> list[Place]:
    """Return every line of station and contract that the work runs through, in the order of the first time."""
    seen: dict[Place, None] = {}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(FOLDERS):
            return None
        if event == "line":
            seen[frame.f_code.co_filename, frame.f_lineno] = None
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return list(seen)


@contextmanager
def fault_at(place: Place, make: Callable[[], BaseException], *, always: bool) -> Iterator[list[int]]:
    """Raise at the line, the first time it is reached or every time; yields a list with one entry for each time."""
    raised: list[int] = []
    file, line = place

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != file:
            return None
        if event == "line" and frame.f_lineno == line and (always or not raised):
            raised.append(line)
            raise make()
        return trace

    def rearm(frame: FrameType, _event: str, _argument: object) -> None:
        # The interpreter takes a trace function away that raised.
        if always and sys.gettrace() is None:
            sys.settrace(trace)
            at: FrameType | None = frame
            while at is not None:
                if at.f_code.co_filename == file:
                    at.f_trace = trace
                at = at.f_back

    sys.setprofile(rearm)
    sys.settrace(trace)
    try:
        yield raised
    finally:
        sys.setprofile(None)  # first: it would put the trace function back
        sys.settrace(None)
