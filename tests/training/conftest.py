"""One tiny run of every command, made once and used by all that look at what the commands leave."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `cageclock-train` as a person does and return what it said."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    line: Sequence[str] = [sys.executable, "-m", "training.cli", *map(str, arguments)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run: six cages and a handful of steps, so its figures mean nothing."""
    folder = tmp_path_factory.mktemp("run")
    effort = ("--cages", 8, "--frames", 3, "--centre-steps", 6, "--part-steps", 6, "--age-steps", 6)
    done = command("demo-bundle", "--out", folder, *effort)
    assert done.returncode == 0, done.stderr
    return folder
