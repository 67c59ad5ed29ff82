"""Every option of every command says what it is for, and every command says its version."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

import edge.cli
import station.cli
from edge.version import VERSION

PARSERS = {"cageclock": edge.cli._parser(), "cageclock-station": station.cli._parser()}
TRAINING = """
import json, sys
sys.path.insert(0, ".")
import training.cli
from tests.project.test_help import without_help
print(json.dumps(without_help(training.cli._parser())))
"""


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and all of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


def without_help(parser: argparse.ArgumentParser) -> list[str]:
    """Return the options that say nothing, as typed."""
    return [
        f"{one.prog} {'/'.join(action.option_strings) or action.dest}"
        for one in parsers(parser)
        for action in one._actions
        if not isinstance(action, argparse._SubParsersAction) and not (action.help or "").strip()
    ]


@pytest.mark.parametrize("name", PARSERS)
def test_every_option_has_a_help_line(name: str) -> None:
    assert without_help(PARSERS[name]) == []


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (edge.cli.main, []),
        (edge.cli.main, ["capture"]),
        (edge.cli.main, ["bundle", "install"]),
        (station.cli.main, []),
        (station.cli.main, ["status"]),
        (station.cli.main, ["devices", "retire"]),
    ],
)
def test_every_command_says_its_version(program, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program([*words, "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"cageclock {VERSION}\n"


def test_the_training_commands_too() -> None:
    done = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stdout + done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "training.cli", "fit", "--version"], capture_output=True, text=True, timeout=600
    )
    assert done.stdout == f"cageclock {VERSION}\n", done.stderr
