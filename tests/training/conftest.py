"""One tiny run of every command, made once and used by all that look at what the commands leave."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.harness.once import build_once
from training.cli import main

ROOT = Path(__file__).parents[2]
LIMIT_S = 1500.0
"""Ten times what the longest of these commands takes on two idle cores; the tests' own limit is above it."""


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `cageclock-train` as a person does and return what it said."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    line: Sequence[str] = [sys.executable, "-m", "training.cli", *map(str, arguments)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `cageclock-train` within this process and return what it said; what it raises fails the test.

    A child imports TensorFlow first, which takes longer than most of these commands. Each command is run as a child
    somewhere, so that one that works only after another's imports is found.
    """
    line = [str(argument) for argument in arguments]
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()) as errors:
        try:
            code = main(line)
        except SystemExit as end:  # a command line that argparse refuses
            code = end.code if isinstance(end.code, int) else 2
    return subprocess.CompletedProcess(line, code, said.getvalue(), errors.getvalue())


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run: six cages and a handful of steps, so its figures mean nothing."""
    return build_once(tmp_path_factory, "run", _tiny_run)


def _tiny_run(folder: Path) -> None:
    effort = ("--cages", 8, "--frames", 3, "--centre-steps", 6, "--part-steps", 6, "--age-steps", 6)
    done = command("demo-bundle", "--out", folder, *effort)
    assert done.returncode == 0, done.stderr
