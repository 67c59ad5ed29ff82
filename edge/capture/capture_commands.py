"""`cageclock capture`: the capturing process."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from edge.config.config_commands import add_config
from edge.contract.service.argument_types import positive
from edge.contract.service.exit_codes import BUNDLE, MACHINE, PASSED_OVER, PROCESS, REBOOT
from edge.contract.service.subcommands import Commands, add_command

EXITS = PROCESS | BUNDLE | MACHINE | PASSED_OVER | REBOOT


def add_commands(commands: Commands) -> None:
    """Add it to the device's command line."""
    text = "photograph on schedule and append each reading to the outbox"
    capture = add_command(commands, "capture", _capture, text, exits=EXITS)
    add_config(capture)
    capture.add_argument("--captures", type=positive, metavar="N", help="how many due slots to end after")
    capture.add_argument("--once", action="store_const", const=1, dest="captures", help="the same as --captures 1")
    capture.add_argument("--stepped", action="store_true", help="a clock that jumps from slot to slot")
    capture.add_argument(
        "--stepped-from", type=_time, metavar="TIME", help="where the stepped clock begins: ISO 8601 with an offset"
    )
    text = "print no line for a reading, as is done in a terminal; errors are printed all the same"
    capture.add_argument("-q", "--quiet", action="store_true", help=text)


def _capture(options: argparse.Namespace) -> int:
    from edge.capture.run import run
    from edge.config.load import load_config

    begin = options.stepped_from or (datetime.now(UTC) if options.stepped else None)
    shows = sys.stdout.isatty() and not options.quiet
    return run(load_config(options.config), captures=options.captures, stepped_from=begin, shows=shows)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"expected a time such as 2024-01-01T00:00:00+00:00, got {text!r}")
    return at
