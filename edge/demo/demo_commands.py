"""`cageclock demo`: the whole path on one machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.argument_types import positive
from edge.contract.service.exit_codes import MACHINE, NETWORK
from edge.contract.service.subcommands import Commands, add_command


def add_commands(commands: Commands) -> None:
    """Add it to the device's command line."""
    exits = {0: "every reading is in the station's log, or Ctrl-C ended it", 1: "a reading is missing"}
    text = "run the whole path on simulated cages, with a broker and a station"
    demo = add_command(commands, "demo", _demo, text, exits=exits | MACHINE | NETWORK)
    demo.add_argument(
        "--out", type=Path, default=Path("demo-output"), metavar="FOLDER", help="for all files that come of it"
    )
    demo.add_argument("--cages", type=positive, default=4, metavar="N", help="how many simulated cages (default 4)")
    demo.add_argument(
        "--captures", type=positive, default=230, metavar="N", help="how many captures of each cage (default 230)"
    )
    demo.add_argument("--seed", type=int, default=1, metavar="SEED", help="another one makes other mice (default 1)")
    demo.add_argument(
        "--broker", choices=("auto", "mosquitto", "amqtt"), default="auto", help="auto: mosquitto, else amqtt"
    )


def _demo(options: argparse.Namespace) -> int:
    from edge.demo.main import run

    return run(options.out, cages=options.cages, captures=options.captures, seed=options.seed, broker=options.broker)
