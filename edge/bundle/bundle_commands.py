"""`cageclock bundle install | card | rollback | status | reset-floor`: their options."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.config.config_commands import add_config
from edge.contract.service.argument_types import positive, whole
from edge.contract.service.exit_codes import BUNDLE, MACHINE
from edge.contract.service.subcommands import Commands, add_command, add_group

EXITS = BUNDLE | MACHINE


def add_commands(commands: Commands) -> None:
    """Add them to the device's command line."""
    actions = add_group(commands, "bundle", "install a model bundle, go back, say which one runs", exits=EXITS)
    text = "verify a bundle, try it in a child process, make it the active one"
    install = add_command(actions, "install", _install, text, exits=EXITS)
    install.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the bundle")
    install.add_argument("--inbox", action="store_true", help="take every *.bundle of <state_dir>/inbox instead")
    text = "carry bundles from a stick or the boot partition into the inbox; write each result beside its file"
    card = add_command(actions, "card", _carry, text, exits=EXITS)
    text = "a folder with *.bundle or *.trust.json; one that is not there is passed over"
    card.add_argument("folder", type=Path, nargs="+", metavar="FOLDER", help=text)
    text = "go back to the bundle before; refuse the present one"
    back = add_command(actions, "rollback", _roll_back, text, exits=EXITS)
    text = "the active bundle, the one before, the last installations"
    status = add_command(actions, "status", _show, text)
    text = "how many of the last installations to show (default 10)"
    status.add_argument("--last", type=positive, default=10, metavar="N", help=text)
    text = "set the highest release that a channel is said to have had; noted in the history and reported to the lab"
    reset = add_command(actions, "reset-floor", _reset_floor, text, exits=EXITS)
    reset.add_argument("channel", metavar="CHANNEL", help="the channel's name, as `bundle status` shows it")
    text = "the number above which a bundle's release has to be; 0: any"
    reset.add_argument("release", type=whole, metavar="RELEASE", help=text)
    reset.add_argument("--reason", required=True, metavar="TEXT", help="why, for whoever reads the history")
    for action in (install, card, back, status, reset):
        add_config(action)


def _install(options: argparse.Namespace) -> int:
    from edge.bundle.command import install

    return install(options)


def _carry(options: argparse.Namespace) -> int:
    from edge.bundle.command import carry_cards

    return carry_cards(options)


def _roll_back(options: argparse.Namespace) -> int:
    from edge.bundle.command import roll_back

    return roll_back(options)


def _show(options: argparse.Namespace) -> int:
    from edge.bundle.command import show

    return show(options)


def _reset_floor(options: argparse.Namespace) -> int:
    from edge.bundle.command import reset_floor

    return reset_floor(options)
