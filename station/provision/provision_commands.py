"""`cageclock-station provision` and `wheels`: their options. What they need is imported when they run."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.exit_codes import MACHINE
from edge.contract.service.subcommands import Commands, add_command
from station.optional import run_optional

PLACE = "{device}"
"""Stands in --card for the device's name."""
ARCHITECTURES = ("arm64", "amd64")


def add_commands(commands: Commands) -> None:
    """Add them to the station's command line."""
    exits = {2: "a setting is wrong, or a card failed; each is named"} | MACHINE
    text = "write onto a flashed Raspberry Pi OS card all that a device needs"
    parser = add_command(commands, "provision", _provision, text, exits=exits)
    parser.add_argument("--lab", type=Path, default=Path("lab.yaml"), help="what all cards have in common (lab.yaml)")
    parser.add_argument("--device", help="the device's name; with --fleet, its row of the table")
    parser.add_argument("--fleet", type=Path, metavar="TABLE", help="CSV: device, cage, subject, px_per_mm, ...")
    about = f"the mounted boot partition, or an image file; for a whole table with {PLACE} in it"
    parser.add_argument("--card", required=True, metavar="FOLDER|IMAGE", help=about)
    parser.add_argument("--labels", type=Path, metavar="PDF", help="labels for cards and devices, for a sheet of 21")
    parser.add_argument("--dry-run", action="store_true", help="check everything, say what would change, write nothing")
    parser.add_argument("--new-key", action="store_true", help="a new key and certificate, where a card was lost")
    parser.add_argument("--verbose", action="store_true", help="name every file")
    about = "of the device (arm64); amd64 for a trial in a virtual machine"
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="arm64", help=about)
    text = "build the folder of wheels with which a device's first boot needs no internet"
    parser = add_command(commands, "wheels", _wheels, text)
    parser.add_argument("folder", type=Path, help="where to")
    about = "3.11 (Bookworm) or 3.13 (Trixie); may be given twice; default both"
    parser.add_argument("--python", action="append", choices=["3.11", "3.13"], help=about)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="arm64", help="of the device (arm64)")
    parser.add_argument("--source", metavar="WHEEL|TREE", help="the program (default: this source tree)")
    parser.add_argument("--numpy", action="store_true", help="numpy as well: only for devices without a camera module")


def _provision(options: argparse.Namespace) -> int:
    return run_optional("station.provision.command", "provision", "provision", options)


def _wheels(options: argparse.Namespace) -> int:
    return run_optional("station.provision.command", "provision", "wheels", options)
