"""The command line `cageclock-station`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from edge.errors import CageclockError
from edge.version import VERSION

_EXIT_CODES = """exit codes: 0 done; 1 `status` found something that needs a person; 2 a setting, a path or a
permission is wrong; 4 the disk or the database failed; 5 the network; 6 a file or payload cannot be read"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one line on stderr."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        code: int = options.command(options)
        return code
    except CageclockError as error:
        print(f"cageclock-station: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `| head` has seen enough.
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cageclock-station",
        description="The lab's side of CageClock: logs every record once, draws ageing curves.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"cageclock {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("run", help="subscribe, store, promise `committed`", epilog=_EXIT_CODES)
    parser.add_argument("--config", type=Path, help="station.yaml; the flags below win over it")
    parser.add_argument("--name", help="the station's name, which the devices have as mqtt.station")
    parser.add_argument("--data", help="folder of database and thumbnails")
    parser.add_argument("--host", help="the broker (default localhost)")
    parser.add_argument("--port", type=int, help="default 1883")
    parser.add_argument("--mqtt-version", choices=["5", "3.1.1"], help="default 5")
    parser.add_argument("--username")
    parser.add_argument("--password-file", help="file with the password in its first line")
    parser.add_argument("--ca-file", dest="tls_ca_file", help="certificate authority of the broker (PEM)")
    parser.add_argument("--cert-file", dest="tls_cert_file", help="this station's certificate (PEM)")
    parser.add_argument("--key-file", dest="tls_key_file", help="this station's key (PEM)")
    parser.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from station.process import run
    from station.settings import load_settings

    flags = {key: value for key, value in vars(options).items() if key not in ("command", "config")}
    return run(load_settings(options.config, flags))


if __name__ == "__main__":
    sys.exit(main())
