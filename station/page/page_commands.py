"""`cageclock-station serve`: the lab's page."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.exit_codes import MACHINE
from edge.contract.service.subcommands import Commands, add_command
from edge.errors import OperatorError


def add_commands(commands: Commands) -> None:
    """Add it to the station's command line."""
    exits = {0: "ended as it was asked to, by SIGTERM or Ctrl-C"} | MACHINE
    text = "the lab's page: the wall of cages, curves, data entry (needs the extra `page`)"
    parser = add_command(commands, "serve", _serve, text, exits=exits)
    parser.add_argument("--config", type=Path, help="page.yaml; the flags below win over it")
    parser.add_argument("--data", help="the station's folder")
    parser.add_argument("--host", help="where to listen (default 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="PORT", help="the port to listen on (default 8642)")
    parser.add_argument("--public-url", help="the address that people type: behind a proxy, or by a name")
    parser.add_argument(
        "--token",
        action="store_true",
        default=None,
        help="print an address that signs whoever opens it in as admin; only on this machine",
    )


def _serve(options: argparse.Namespace) -> int:
    from station.page.settings import load_page_settings

    try:
        from station.page.serve import serve
    except ModuleNotFoundError as error:
        raise OperatorError(f"serve: {error.name} is not installed: pip install 'cageclock[page]'") from error
    flags = {key: value for key, value in vars(options).items() if key not in ("run", "config")}
    return serve(load_page_settings(options.config, flags))
