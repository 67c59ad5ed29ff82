"""`locator` trains a locator, `locator-report` judges one; `contact-sheet` shows what a bundle finds."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.argument_types import positive, scale, whole
from edge.contract.service.exit_codes import BUNDLE, MACHINE, PASSED_OVER
from edge.contract.service.subcommands import Commands, add_command
from edge.errors import OperatorError
from training.command_options import add_run_command, named_key, passed_over, quiet
from training.run import Run

PROFILES = {"short": (600, 250, 250), "long": (2500, 800, 1000)}
"""Steps of the second stage, of the first, and of a point of the learning curve."""


def add_commands(commands: Commands) -> None:
    """Add them to the training's command line."""
    locator = add_run_command(commands, "locator", _locator, "train and quantise the two stages of the locator")
    locator.add_argument("--dlc", type=Path, metavar="PROJECT", help="a DeepLabCut project; else RUN's simulated data")
    locator.add_argument(
        *("--dataset", "--data"),
        dest="data",
        type=Path,
        metavar="RUN",
        help="simulated data of another run, or own labelled data (laid out as a DeepLabCut project); with --dlc both "
        "are mixed (default: --out)",
    )
    locator.add_argument("--resume", action="store_true", help="go on with a training that was interrupted")
    locator.add_argument(
        "--checkpoint-every",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how often a checkpoint is written (default 60)",
    )
    locator.add_argument(
        "--steps",
        type=positive,
        metavar="STEPS",
        help="training steps of the second stage (default 2500; simulated 2000)",
    )
    locator.add_argument(
        "--centre-steps",
        type=positive,
        metavar="STEPS",
        help="training steps of the first stage (default 800; simulated 900)",
    )
    locator.add_argument(
        "--px-per-mm",
        type=scale,
        default=1.3,
        metavar="PX_PER_MM",
        help="scale of its pictures in pixels per millimetre (default %(default)s)",
    )
    locator.add_argument("--age-from", type=Path, help="bundle whose age model is packed in (default: the demo's)")
    locator.add_argument("--key", type=Path, help="private signing key (default: RUN/key.pem, made where missing)")
    locator.add_argument("--again", action="store_true", help="train anew although RUN holds the result")

    report = add_run_command(
        commands, "locator-report", _report, "cross-validate a project: errors, calibration, suspects"
    )
    report.add_argument("--dlc", type=Path, metavar="PROJECT", required=True, help="a DeepLabCut project")
    report.add_argument(
        "--profile", choices=tuple(PROFILES), default="long", help="defaults of the three numbers below"
    )
    report.add_argument(
        "--steps", type=positive, metavar="STEPS", help="training steps of the second stage (short 600, long 2500)"
    )
    report.add_argument(
        "--centre-steps", type=positive, metavar="STEPS", help="training steps of the first stage (short 250, long 800)"
    )
    report.add_argument(
        "--curve-steps",
        type=whole,
        metavar="STEPS",
        help="training steps for a point of the learning curve, 0: none (short 250, long 1000)",
    )
    report.add_argument(
        "--folds",
        type=positive,
        default=5,
        metavar="N",
        help="how many folds the project is split into (default %(default)s)",
    )
    report.add_argument(
        "--split",
        choices=("shuffled", "blocks"),
        default="shuffled",
        help="blocks: neighbouring frames of a video stay in one fold (default %(default)s)",
    )
    report.add_argument(
        "--px-per-mm",
        type=scale,
        default=1.3,
        metavar="PX_PER_MM",
        help="scale of its pictures in pixels per millimetre (default %(default)s)",
    )

    text = "draw what a bundle finds in a video or folder"
    sheet = add_command(commands, "contact-sheet", _contact_sheet, text, exits=BUNDLE | MACHINE | PASSED_OVER)
    sheet.add_argument("--bundle", type=Path, required=True, help="the bundle whose locator draws")
    sheet.add_argument("--trust", type=Path, required=True, help="public key of the bundle (PEM)")
    sheet.add_argument("--source", type=Path, required=True, help="a video file or a folder of images")
    sheet.add_argument(
        "--px-per-mm",
        type=scale,
        default=None,
        metavar="PX_PER_MM",
        help="scale of the pictures in pixels per millimetre, if calibrated",
    )
    sheet.add_argument(
        "--frames", type=positive, default=12, metavar="N", help="how many pictures to draw (default %(default)s)"
    )
    sheet.add_argument(
        "--measured",
        type=positive,
        default=120,
        metavar="N",
        help="how many pictures to count over (default %(default)s)",
    )
    sheet.add_argument("--out", type=Path, required=True, help="PNG to write")


def _locator(options: argparse.Namespace) -> int:
    quiet()
    from training.locator.mix_simulated import is_project

    if options.data is not None and is_project(options.data):
        if options.dlc is not None:
            raise OperatorError(
                f"{options.data}: expected simulated data beside --dlc, got a second project; put both projects' "
                "labeled-data folders into one"
            )
        options.dlc, options.data = options.data, None
    if options.dlc is not None:
        figures = _from_project(options)
    else:
        from training.locator.fit import Kept
        from training.steps.locator_from_simulation import Effort, train_locator

        effort = Effort(centres=options.centre_steps or 900, parts=options.steps or 2000)
        run = Run(options.data or options.out)
        kept = Kept(run.folder, options.resume, options.checkpoint_every)
        figures = train_locator(run, effort, options.seed, again=options.again, kept=kept)
    options.figures.show(figures)
    return 0


def _from_project(options: argparse.Namespace) -> dict[str, float]:
    from training.locator.fit import Kept
    from training.steps.locator_from_project import BUNDLE, Order, train_on_project

    run = Run(options.out)
    order = Order(
        project=options.dlc,
        simulated=Run(options.data) if options.data else None,
        px_per_mm=options.px_per_mm,
        steps=options.steps or 2500,
        centre_steps=options.centre_steps or 800,
        age_from=options.age_from,
        key=named_key(options.key) or run.path("key.pem"),
        seed=options.seed,
        again=options.again,
    )
    figures = train_on_project(run, order, Kept(run.folder, options.resume, options.checkpoint_every))
    if "picture_px_per_crop_px" in figures:
        print("the animals are too large or too small for native pixels: give the device camera.px_per_mm")
    print(f"{run.path(BUNDLE)}; trust it with bundle.trusted_keys: [{order.key.with_suffix('.pub')}]")
    return figures


def _report(options: argparse.Namespace) -> int:
    quiet()
    from training.locator.cross_validation import CrossValidation
    from training.locator.report import Options, report

    if options.folds < 2:
        raise OperatorError(f"--folds: expected at least 2, got {options.folds}")
    steps, centre_steps, curve_steps = PROFILES[options.profile]
    validation = CrossValidation(
        options.folds, options.steps or steps, options.centre_steps or centre_steps, options.split, options.seed
    )
    curve = curve_steps if options.curve_steps is None else options.curve_steps
    figures = report(Options(options.dlc, options.out, validation, options.px_per_mm, curve))
    options.figures.show(figures["int8"])
    print(options.out / "locator-report.md")
    return 0


def _contact_sheet(options: argparse.Namespace) -> int:
    from edge.footage.faults import Faults
    from training.locator.contact_sheet import contact_sheet

    faults = Faults()
    options.figures.show(contact_sheet(options, faults))
    print(options.out)
    return passed_over(faults)
