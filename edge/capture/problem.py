"""What is wrong at present, printed once on standard error until another problem takes its place."""

from __future__ import annotations

import contextlib
import sys

from edge.contract.reading import Outcome


class Problem:
    """The newest slot's problem in `text`; empty where there is none."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self.text = ""

    def note(self, outcome: Outcome, text: str) -> None:
        """Remember what is wrong, empty for nothing."""
        if text and text != self.text:
            warn(f"{outcome.value}: {text}")
        self.text = text


def warn(text: str) -> None:
    """Print a line on standard error, where somebody still reads that."""
    with contextlib.suppress(OSError, ValueError):
        print(f"cageclock: {text}", file=sys.stderr, flush=True)
