"""`cageclock doctor`: what is wrong on this machine."""

from __future__ import annotations

import argparse

from edge.config.config_commands import add_config
from edge.contract.service.exit_codes import MACHINE
from edge.contract.service.subcommands import Commands, add_command


def add_commands(commands: Commands) -> None:
    """Add it to the device's command line."""
    exits = {0: "nothing failed", 1: "something failed"} | MACHINE
    text = "check camera, model, broker, clock, disk and permissions"
    doctor = add_command(commands, "doctor", _doctor, text, exits=exits)
    add_config(doctor)
    doctor.add_argument("--json", action="store_true", help="one JSON object instead of lines")


def _doctor(options: argparse.Namespace) -> int:
    from edge.config.load import load_config
    from edge.doctor.run import run

    return run(load_config(options.config), as_json=options.json)
