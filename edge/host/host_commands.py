"""`cageclock install-units`: what the system needs besides the program."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.subcommands import Commands, add_command


def add_commands(commands: Commands) -> None:
    """Add it to the device's command line."""
    units = add_command(commands, "install-units", _install_units, "put units, users and system settings in place")
    units.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="a mounted card in place of /")
    units.add_argument("--station", action="store_true", help="the lab server's units in place of a device's")


def _install_units(options: argparse.Namespace) -> int:
    from edge.host.install_units import install_units

    for step in install_units(options.root, station=options.station):
        print(step, flush=True)
    return 0
