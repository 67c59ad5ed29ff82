"""The command lines of the three programs: every command says how it can end, every option what it is for."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest

import edge.cli
import edge.errors
import station.cli
import training.cli
from edge.contract.service.exit_codes import HEADING
from edge.version import VERSION

PROGRAMS = {"cageclock": edge.cli, "cageclock-station": station.cli, "cageclock-train": training.cli}
UNITS = {
    "DAYS", "DEGREES", "MM", "PORT", "PX_PER_MM", "RELEASE", "SCALE", "SECONDS", "SEED", "SHARE", "STEPS", "WEEKS",
}  # fmt: skip
"""Placeholders that name a number's unit; N is a number of things, and the help line says of which."""


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and all of its commands and actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


ALL = [one for program in PROGRAMS.values() for one in parsers(program.make_parser())]


def options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """Yield what a command takes, with its name as a person types it."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            yield f"{parser.prog} {'/'.join(action.option_strings) or action.dest}", action


def is_number(action: argparse.Action) -> bool:
    """Return whether the value is a number; a count of things or a quantity."""
    if action.type is None or isinstance(action.type, argparse.FileType):
        return False
    for text in ("1", "0.5"):
        try:
            value = action.type(text)
        except (ValueError, TypeError, argparse.ArgumentTypeError):
            continue
        return isinstance(value, int | float)
    return False


def has_unit(action: argparse.Action) -> bool:
    """Return whether the help says what a number counts, or in what it is measured."""
    if action.metavar in UNITS:
        return True
    return action.metavar == "N" and re.search(r"\bhow many|\bnumber of|\bso many", action.help or "") is not None


def test_the_walk_meets_the_commands_of_all_programs() -> None:
    named = {one.prog for one in ALL}
    assert {"cageclock bundle install", "cageclock-station subjects zone", "cageclock-train bundle sign"} <= named
    assert len(named) == len(ALL) > 60


def test_every_option_has_a_help_line() -> None:
    assert [name for one in ALL for name, action in options(one) if not (action.help or "").strip(" .")] == []


def test_every_number_has_its_unit() -> None:
    numbers = [(name, action) for one in ALL for name, action in options(one) if is_number(action)]
    assert len(numbers) > 60
    assert [name for name, action in numbers if not has_unit(action)] == []


@pytest.mark.parametrize("parser", ALL, ids=lambda parser: parser.prog)
def test_every_help_names_its_exit_codes(parser: argparse.ArgumentParser) -> None:
    text = parser.format_help()
    listed = [int(code) for code in re.findall(r"^  (\d+) +\S", text.split(HEADING)[1], re.MULTILINE)]
    assert {0, 2, 130} <= set(listed)
    assert listed == sorted(listed)
    assert parser.description
    assert parser.description.split()[0] in text


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_lists_what_any_of_its_commands_can_end_with(program: str) -> None:
    first, *others = parsers(PROGRAMS[program].make_parser())
    known = set(re.findall(r"^  (\d+) ", first.epilog or "", re.MULTILINE))
    assert {code for one in others for code in re.findall(r"^  (\d+) ", one.epilog or "", re.MULTILINE)} <= known


def test_every_exit_code_of_an_error_is_one_that_the_device_lists() -> None:
    kinds = [kind for kind in vars(edge.errors).values() if isinstance(kind, type) and hasattr(kind, "exit_code")]
    text = edge.cli.make_parser().format_help()
    for code in {kind.exit_code for kind in kinds} | {edge.errors.EXIT_REBOOT, edge.errors.EXIT_PASSED_OVER}:
        assert f"\n  {code} " in text


def test_a_command_runs_and_its_module_is_listed_once() -> None:
    """A group without an action is a wrong command line; whatever else can be typed has something to run."""
    for one in ALL:
        is_group = any(isinstance(action, argparse._SubParsersAction) and action.required for action in one._actions)
        assert is_group or callable(one.get_default("run")), one.prog
    for program in PROGRAMS.values():
        assert len(set(program.COMMANDS)) == len(program.COMMANDS)
        for module in program.COMMANDS:
            assert module.__name__.endswith("_commands")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (edge.cli.main, []),
        (edge.cli.main, ["capture"]),
        (edge.cli.main, ["bundle", "install"]),
        (station.cli.main, []),
        (station.cli.main, ["status"]),
        (station.cli.main, ["devices", "retire"]),
        (training.cli.main, ["fit"]),
        (training.cli.main, ["bundle", "sign"]),
    ],
)
def test_every_command_says_its_version(program, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program([*words, "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"cageclock {VERSION}\n"
