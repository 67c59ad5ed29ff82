"""`cageclock publish`: the publishing process."""

from __future__ import annotations

import argparse
import sys

from edge.config.config_commands import add_config
from edge.contract.service.exit_codes import MACHINE, NETWORK, PROCESS
from edge.contract.service.subcommands import Commands, add_command


def add_commands(commands: Commands) -> None:
    """Add it to the device's command line."""
    text = "send the outbox to the broker; report health, answer commands"
    publish = add_command(commands, "publish", _publish, text, exits=PROCESS | MACHINE | NETWORK)
    add_config(publish)
    text = "print no line for a change, as is done in a terminal; errors are printed all the same"
    publish.add_argument("-q", "--quiet", action="store_true", help=text)


def _publish(options: argparse.Namespace) -> int:
    from edge.config.load import load_config
    from edge.publish.run import run

    return run(load_config(options.config), shows=sys.stdout.isatty() and not options.quiet)
