"""What is wrong at present, said once on standard error until another problem takes its place."""

from __future__ import annotations

import contextlib
import sys

from edge.contract.reading import Outcome


class Problem:
    """text: of the newest slot, empty for none."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self.text = ""

    def note(self, outcome: Outcome, text: str) -> None:
        """Remember what is wrong, empty for nothing."""
        if text and text != self.text:
            say(f"{outcome.value}: {text}")
        self.text = text


def say(text: str) -> None:
    """Say it on standard error, where that is still open to somebody."""
    with contextlib.suppress(OSError, ValueError):
        print(f"cageclock: {text}", file=sys.stderr, flush=True)
