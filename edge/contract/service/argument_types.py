"""What an argument of a command line may be: each function returns its value, or says what was expected."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not (text.isascii() and text.isdigit()) or len(text) > 15 or int(text) < 1:
        raise ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number of at least 0."""
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise ArgumentTypeError(f"expected a whole number of up to 15 digits, got {text!r}")
    return int(text)


def scale(text: str) -> float:
    """Return pixels per millimetre: above 0 and below 1000."""
    return between(0, 1000)(text)


def between(low: float, high: float, *, low_too: bool = False) -> Callable[[str], float]:
    """Return the type of a number above `low` (or, with `low_too`, from `low` on) and below `high`."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (low < value < high or (low_too and value == low)):
            least = f"of at least {low:g}" if low_too else f"above {low:g}"
            raise ArgumentTypeError(f"expected a number {least} and below {high:g}, got {text!r}")
        return value

    return number
