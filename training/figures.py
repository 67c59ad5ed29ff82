"""The figures of one command: printed for people, handed over as JSON to who started it (`--figures FILE`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from edge.errors import OperatorError
from training.whole_file import write_text


class Figures:
    """Collects what a command found: numbers by name, in the order of finding; of one name the last number counts."""

    def __init__(self, path: Path | None = None) -> None:
        """Keep the file to write; what it holds from an earlier command is removed, so that it never speaks for this.

        Raises:
            OperatorError: the path is a folder.
        """
        self._path = path
        self._values: dict[str, float] = {}
        if path is not None:
            if path.is_dir():
                raise OperatorError(f"--figures {path}: expected a file to write, got a folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)

    def add(self, figures: Mapping[str, float]) -> None:
        """Keep these, unprinted: the command says them in sentences of its own."""
        self._values |= {name: float(value) for name, value in figures.items()}

    def show(self, figures: Mapping[str, float]) -> None:
        """Keep these and print one a line."""
        self.add(figures)
        for name, value in figures.items():
            print(f"{name:32} {value:.4g}")

    def write(self) -> None:
        """Write the file, whole, where one was asked for."""
        if self._path is not None:
            write_text(self._path, json.dumps(self._values, indent=1) + "\n")


def read_figures(path: Path) -> dict[str, float]:
    """Return what `Figures.write` wrote; NaN and Infinity stand there as Python's json writes them.

    Raises:
        OperatorError: the file is missing, or holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise OperatorError(f"{path}: expected the command's figures, but it wrote none") from error
    except ValueError as error:
        raise OperatorError(f"{path}: expected the command's figures as JSON, got something else") from error
    if not isinstance(found, dict) or not all(type(value) in (int, float) for value in found.values()):
        raise OperatorError(f"{path}: expected an object of numbers by name, got something else")
    return {name: float(value) for name, value in found.items()}
