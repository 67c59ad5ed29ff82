"""Command lines as they were meant: a file whose name begins like an option is still a file."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator, Sequence


def with_file_names(parser: ArgumentParser, arguments: Sequence[str] | None) -> list[str]:
    """Return the arguments with `./` before each name of an existing file that begins with `-`, as `*.mp4` gives them.

    What is an option of the program (`-q`, `--out=X`) stays one, also where a file has that name, and so does all
    behind `--`. arguments: None for those of this process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = set(_options(parser))
    end = given.index("--") if "--" in given else len(given)
    return [_as_meant(one, options) for one in given[:end]] + given[end:]


def _as_meant(argument: str, options: set[str]) -> str:
    if not argument.startswith("-") or argument == "-" or argument.split("=")[0] in options:
        return argument
    return f"./{argument}" if os.path.lexists(argument) else argument


def _options(parser: ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, _SubParsersAction):
            for below in action.choices.values():
                yield from _options(below)
