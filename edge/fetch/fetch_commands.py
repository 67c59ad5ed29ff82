"""`cageclock fetch`: the process that brings a wished bundle."""

from __future__ import annotations

import argparse

from edge.config.config_commands import add_config
from edge.contract.service.exit_codes import MACHINE, PROCESS
from edge.contract.service.subcommands import Commands, add_command


def add_commands(commands: Commands) -> None:
    """Add it to the device's command line."""
    text = "fetch the bundle that the lab wishes for (model/desired) into the inbox"
    fetch = add_command(commands, "fetch", _fetch, text, exits=PROCESS | MACHINE)
    add_config(fetch)


def _fetch(options: argparse.Namespace) -> int:
    from edge.config.load import load_config
    from edge.fetch.run import run

    return run(load_config(options.config))
