"""`check` and `crops`: from a biologist's pictures and table to what the age model is trained on."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.argument_types import scale
from edge.contract.service.exit_codes import MACHINE
from edge.contract.service.subcommands import Commands, add_command
from edge.errors import EXIT_PASSED_OVER, OperatorError
from training.command_options import add_run_command, quiet
from training.run import Run


def add_commands(commands: Commands) -> None:
    """Add them to the training's command line."""
    exits = {0: "no errors", 2: "errors (with --strict: or warnings), or no table that can be read"} | MACHINE
    text = "say what is wrong with a dataset, and what in it will mislead"
    check = add_command(commands, "check", _check, text, exits=exits)
    check.add_argument("dataset", type=Path, metavar="DATASET", help="folder with animals.csv and its pictures")
    check.add_argument("--strict", action="store_true", help="exit code 2 on warnings too")

    crops = add_run_command(
        commands, "crops", _crops, "cut a dataset's animals as the device does: RUN/crops.npz and .csv"
    )
    crops.add_argument("dataset", type=Path, metavar="DATASET", help="folder with animals.csv and its pictures")
    crops.add_argument("--bundle", type=Path, help="its locator finds the animals; not needed where lines say where")
    crops.add_argument("--trust", type=Path, help="public key of the bundle (PEM)")
    crops.add_argument(
        "--px-per-mm",
        type=scale,
        metavar="PX_PER_MM",
        help="scale in pixels per millimetre of pictures whose line gives none",
    )
    crops.add_argument("--cut", action="store_true", help="the pictures are crops of 384 x 160 already, snout right")


def _check(options: argparse.Namespace) -> int:
    from training.dataset.check import check, summary

    findings = check(options.dataset)
    for finding in findings:
        print(finding)
    print(summary(options.dataset, findings))
    wrong = any(
        finding.severity == "error" or (options.strict and finding.severity == "warning") for finding in findings
    )
    return OperatorError.exit_code if wrong else 0


def _crops(options: argparse.Namespace) -> int:
    quiet()
    from training.dataset.cut import UNREADABLE, cut_dataset

    crops, unusable, cut_by = cut_dataset(
        options.dataset, options.bundle, options.trust, px_per_mm=options.px_per_mm, ready=options.cut
    )
    for finding in unusable:
        print(finding)
    if not len(crops):
        raise OperatorError(f"{options.dataset}: no picture could be used; the reasons stand above")
    crops.save(Run(options.out), cut_by)
    print(f"{options.out / 'crops.npz'}: {len(crops)} crops of {crops.table.subject.nunique()} animals")
    print(f"not usable: {len(unusable)} of {len(crops) + len(unusable)}")
    return EXIT_PASSED_OVER if any(finding.severity == UNREADABLE for finding in unusable) else 0
