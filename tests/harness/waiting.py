"""Waiting for something to become true, with a limit that a busy machine does not reach."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
LIMIT_S = 120.0
"""Well over ten times what anything here takes on an idle machine, and under the limit of a whole test."""


def wait_until(condition: Callable[[], Found], limit_s: float = LIMIT_S, *, pause_s: float = 0.02) -> Found:
    """Return what the condition returns as soon as that is true; after the limit fail and say what was waited for."""
    deadline_s = time.monotonic() + limit_s
    while not (found := condition()):
        if time.monotonic() >= deadline_s:
            raise AssertionError(f"waited {limit_s:g} s in vain for: {_source(condition)}; it is {found!r} still")
        time.sleep(pause_s)
    return found


def _source(condition: Callable[[], object]) -> str:
    """Return the condition as it is written in the test."""
    try:
        lines = inspect.getsource(condition).strip()
    except (OSError, TypeError):
        return repr(condition)
    return " ".join(line.strip() for line in lines.splitlines())
