"""`locator` trains a locator; `contact-sheet` shows what a bundle finds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from training.commands.options import positive, print_figures, quiet, run_command, scale


def add(commands: Any) -> None:
    """Add them to the parser."""
    locator = run_command(commands, "locator", _locator, "train and quantise the two stages of the locator")
    source = locator.add_mutually_exclusive_group()
    source.add_argument("--dlc", type=Path, metavar="PROJECT", help="a DeepLabCut project; else RUN's simulated data")
    source.add_argument("--data", type=Path, metavar="RUN", help="simulated data of another run (default: --out)")
    locator.add_argument("--steps", type=positive, help="steps of the second stage (default 2500; simulated 2000)")
    locator.add_argument("--centre-steps", type=positive, help="steps of the first stage (default 800; simulated 900)")
    locator.add_argument("--px-per-mm", type=scale, default=1.3, help="scale of its images (default %(default)s)")
    locator.add_argument("--age-from", type=Path, help="bundle whose age model is packed in (default: the demo's)")
    locator.add_argument("--key", type=Path, help="private signing key, made where it is missing (default RUN/key.pem)")
    locator.add_argument("--again", action="store_true", help="train anew although RUN holds the result")

    sheet = commands.add_parser("contact-sheet", help="draw what a bundle finds in a video or folder")
    sheet.add_argument("--bundle", type=Path, required=True)
    sheet.add_argument("--trust", type=Path, required=True, help="public key of the bundle (PEM)")
    sheet.add_argument("--source", type=Path, required=True, help="a video file or a folder of images")
    sheet.add_argument("--px-per-mm", type=scale, default=None, help="scale of the pictures, if calibrated")
    sheet.add_argument("--frames", type=positive, default=12, help="pictures to draw (default %(default)s)")
    sheet.add_argument("--measured", type=positive, default=120, help="pictures to count over (default %(default)s)")
    sheet.add_argument("--out", type=Path, required=True, help="PNG to write")
    sheet.set_defaults(run=_contact_sheet)


def _locator(options: argparse.Namespace) -> int:
    quiet()
    if options.dlc is not None:
        from training.footage import train_on_project

        figures = train_on_project(options)
    else:
        from training.steps import Effort, train_locator

        effort = Effort(centres=options.centre_steps or 900, parts=options.steps or 2000)
        figures = train_locator(options.data or options.out, effort, options.seed, again=options.again)
    print_figures(figures)
    return 0


def _contact_sheet(options: argparse.Namespace) -> int:
    from training.sheet import contact_sheet

    print_figures(contact_sheet(options))
    print(options.out)
    return 0
