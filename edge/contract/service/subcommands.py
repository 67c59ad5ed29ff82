"""The one way in which the three programs add a command to their command line.

A module NAME_commands.py beside what it runs has a function `add_commands(commands)`; the program's cli.py lists the
module. What the command needs is imported when it runs, so that `--help` stays fast.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from edge.contract.service.exit_codes import HEADING, MACHINE, describe_exit_codes

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Run: TypeAlias = Callable[[argparse.Namespace], int]


class CommandModule(Protocol):
    """A module with commands."""

    def add_commands(self, commands: Commands) -> None:
        """Add them to a program's command line."""


def make_program(
    name: str, text: str, modules: Iterable[CommandModule], exits: Mapping[int, str]
) -> argparse.ArgumentParser:
    """Return a program's parser with the commands of its modules. exits: those of all its commands, by code."""
    parser = argparse.ArgumentParser(
        prog=name, description=text, epilog=describe_exit_codes(exits), formatter_class=_CodesALine
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in modules:
        module.add_commands(commands)
    return parser


def add_command(
    commands: Commands, name: str, run: Run, text: str, *, exits: Mapping[int, str] | None = None
) -> argparse.ArgumentParser:
    """Return a new command's parser, for its options.

    run: returns the exit code. text: what the command does, as a phrase. exits: what it can end with besides what every
    command can (`exit_codes.ALWAYS`), by code; None: that the machine failed.
    """
    epilog = describe_exit_codes(MACHINE if exits is None else exits)
    command = commands.add_parser(name, help=text, description=text, epilog=epilog, formatter_class=_CodesALine)
    command.set_defaults(run=run)
    return command


def add_group(commands: Commands, name: str, text: str, *, exits: Mapping[int, str] | None = None) -> Commands:
    """Return where the actions of a command are added that does nothing without one, such as `bundle install`."""
    epilog = describe_exit_codes(MACHINE if exits is None else exits)
    group = commands.add_parser(name, help=text, description=text, epilog=epilog, formatter_class=_CodesALine)
    return group.add_subparsers(title="actions", metavar="ACTION", required=True)


class _CodesALine(argparse.HelpFormatter):
    """Help in which the exit codes keep a line each, while all other text is wrapped."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(HEADING) else super()._fill_text(text, width, indent)
