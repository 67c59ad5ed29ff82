"""`cageclock locate`: body parts in stored pictures and videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.argument_types import positive
from edge.contract.service.exit_codes import BUNDLE, MACHINE, PASSED_OVER
from edge.contract.service.subcommands import Commands, add_command


def add_commands(commands: Commands) -> None:
    """Add it to the device's command line."""
    exits = BUNDLE | MACHINE | PASSED_OVER | {130: "ended by Ctrl-C; only CSVs that are whole were written"}
    text = "find the animals' body parts in pictures and videos, as DeepLabCut's CSV"
    locate = add_command(commands, "locate", _locate, text, exits=exits)
    locate.add_argument(
        "sources", nargs="+", type=Path, metavar="SOURCE", help="pictures and folders of pictures, or videos"
    )
    locate.add_argument("--bundle", type=Path, required=True, metavar="FILE", help="the model bundle")
    locate.add_argument("--key", type=Path, action="append", metavar="PEM", help="public key that may sign the bundle")
    locate.add_argument("--px-per-mm", type=float, metavar="SCALE", help="pixels per millimetre on the cage floor")
    locate.add_argument(
        "--animals",
        type=positive,
        default=1,
        metavar="N",
        help="how many animals a picture has at most (default 1), in columns animal1 to animalN; in a video a column "
        "goes on with the animal nearest to its last place, which is no identification: animals that touch may be "
        "exchanged",
    )
    text = "how many frames of a video to go on from one that is looked at to the next (default 1: every frame)"
    locate.add_argument("--every", type=positive, default=1, metavar="N", help=text)
    locate.add_argument(
        "--dlc-csv",
        type=Path,
        required=True,
        metavar="OUT",
        help="the CSV of all pictures (a row a path) or of one video (a row a frame number); "
        "for several videos a folder, which gets VIDEO.csv of each",
    )


def _locate(options: argparse.Namespace) -> int:
    from edge.footage.command import run

    return int(run(options))
