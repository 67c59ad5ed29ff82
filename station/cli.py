"""The lab server's command line, `cageclock-station`: the list of its commands, and how an error ends one."""

from __future__ import annotations

import argparse
import logging
import sqlite3
import sys
from collections.abc import Sequence

from edge.contract.service.arguments import with_file_names
from edge.contract.service.exit_codes import BUNDLE, MACHINE, NETWORK, PAYLOAD
from edge.contract.service.subcommands import make_program
from edge.errors import CageclockError
from edge.version import add_version
from station import device_commands, status_commands
from station.curves import curve_commands
from station.export import archive_commands, export_commands
from station.fleet import fleet_commands, rollout_commands
from station.ingest import retention_commands, run_commands
from station.page import page_commands
from station.printable import printable
from station.provision import provision_commands
from station.registry import subject_commands
from station.scale import scale_commands
from station.store import database_commands, upkeep_commands
from station.store.batches import ServerFailed

COMMANDS = (
    run_commands,
    curve_commands,
    subject_commands,
    export_commands,
    archive_commands,
    status_commands,
    device_commands,
    upkeep_commands,
    database_commands,
    retention_commands,
    provision_commands,
    scale_commands,
    page_commands,
    fleet_commands,
    rollout_commands,
)
EXITS = {1: "`status` or `verify` found something"} | BUNDLE | MACHINE | NETWORK | PAYLOAD


class _Harmless(logging.Formatter):
    """Lines of the log in which no name that a device sent can steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return printable(super().format(record), lines=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one line on stderr."""
    parser = make_parser()
    options = parser.parse_args(with_file_names(parser, arguments))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Harmless("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it writes of its font cache
    try:
        code: int = options.run(options)
        return code
    except CageclockError as error:
        print(printable(f"cageclock-station: {error}", lines=True), file=sys.stderr)
        return error.exit_code
    except sqlite3.Error as error:
        text = (
            f"the database failed: {error}; check the disk, or move station.db aside: the devices send what they hold"
        )
        if isinstance(error, ServerFailed):
            text = f"the database server failed: {error}; look at its log, then try again"
        print(printable(f"cageclock-station: {text}"), file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `| head` has seen enough.
        sys.stderr.close()
        return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    text = "The lab's side of CageClock: logs every record once, draws ageing curves."
    parser = make_program("cageclock-station", text, COMMANDS, EXITS)
    add_version(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
