"""The device's command line, `cageclock`: the list of its commands, and how an error ends one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from edge.bundle import bundle_commands
from edge.capture import capture_commands
from edge.config import config_commands
from edge.contract.service.arguments import with_file_names
from edge.contract.service.exit_codes import BUNDLE, MACHINE, NETWORK, PASSED_OVER, PAYLOAD, REBOOT
from edge.contract.service.subcommands import make_program
from edge.demo import demo_commands
from edge.doctor import doctor_commands
from edge.errors import CageclockError
from edge.fetch import fetch_commands
from edge.footage import locate_commands
from edge.host import host_commands
from edge.publish import publish_commands
from edge.version import add_version

COMMANDS = (
    config_commands,
    capture_commands,
    publish_commands,
    fetch_commands,
    doctor_commands,
    locate_commands,
    bundle_commands,
    host_commands,
    demo_commands,
)
EXITS = {1: "`doctor` or `demo` found something wrong"} | BUNDLE | MACHINE | NETWORK | PAYLOAD | PASSED_OVER | REBOOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what goes wrong is one line on standard error."""
    parser = make_parser()
    options = parser.parse_args(with_file_names(parser, arguments))
    try:
        code: int = options.run(options)
        return code
    except CageclockError as error:
        print(f"cageclock: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("cageclock: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # `| head` has seen enough
        return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    text = "A camera on a mouse cage that estimates how old each animal looks, and loses no reading."
    parser = make_program("cageclock", text, COMMANDS, EXITS)
    add_version(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
