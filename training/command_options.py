"""What several commands' options share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.errors import EXIT_PASSED_OVER, OperatorError
from edge.footage.faults import Faults


def positive(text: str) -> int:
    """Return a whole number above 0."""
    value = int(text) if text.lstrip("-").isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text}")
    return value


def scale(text: str) -> float:
    """Return pixels per millimetre."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1000:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and below 1000, got {text}")
    return value


def run_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command that works in a run's folder (--out) with a seed."""
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run's folder")
    command.add_argument(
        "--seed", type=int, default=1, help="the same seed gives the same numbers (default %(default)s)"
    )
    command.set_defaults(run=run)
    return command


def passed_over(faults: Faults) -> int:
    """Return the exit code of a command that is done and report on standard error what could not be read."""
    for line in faults.lines():
        print(f"cageclock-train: passed over: {line}", file=sys.stderr)
    return EXIT_PASSED_OVER if faults else 0


def named_key(path: Path | None) -> Path | None:
    """Return the private key that a person named, None where nobody did; a misspelt path makes no new key.

    Raises:
        OperatorError: there is no such file.
    """
    if path is not None and not path.is_file():
        raise OperatorError(f"{path}: there is no such key; correct the path, or `cageclock-train keys create {path}`")
    return path


def quiet() -> None:
    """Keep TensorFlow's own messages from the terminal."""
    from training.networks.int8 import silence

    silence()
