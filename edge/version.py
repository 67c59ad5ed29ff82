"""The one place that holds the version of the distribution."""

from __future__ import annotations

import argparse

VERSION = "0.1.0"


def add_version(parser: argparse.ArgumentParser) -> None:
    """Have every command and action below a parser take `--version`, wherever it is typed."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in set(action.choices.values()):
                add_version(below)
    if not any("--version" in action.option_strings for action in parser._actions):
        text = "say which version this is"
        parser.add_argument("--version", action="version", version=f"cageclock {VERSION}", help=text)
