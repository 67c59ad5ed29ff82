"""What several commands of the training share: their options, and how they begin and end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from edge.contract.service.exit_codes import MACHINE
from edge.contract.service.subcommands import Commands, Run, add_command
from edge.errors import EXIT_PASSED_OVER, OperatorError
from edge.footage.faults import Faults

AGAIN = {130: "ended by Ctrl-C; finished steps are kept, and the same command goes on"}


def add_run_command(
    commands: Commands, name: str, run: Run, text: str, *, exits: Mapping[int, str] = MACHINE
) -> argparse.ArgumentParser:
    """Return a new command that works in a run's folder (--out) with a seed."""
    command = add_command(commands, name, run, text, exits={**exits, **AGAIN})
    command.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run's folder")
    text = "the same seed gives the same numbers (default %(default)s)"
    command.add_argument("--seed", type=int, default=1, metavar="SEED", help=text)
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
