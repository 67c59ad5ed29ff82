"""`check` and `crops`: from a biologist's pictures and table to what the age model is trained on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.errors import EXIT_PASSED_OVER, OperatorError
from training.commands.options import quiet, run_command, scale
from training.run import Run


def add(commands: Any) -> None:
    """Add them to the parser."""
    text = "say what is wrong with a dataset, and what in it will mislead (exit code 0 no error, 2 errors)"
    check = commands.add_parser("check", help=text, description=text)
    check.add_argument("dataset", type=Path, metavar="DATASET", help="folder with animals.csv and its pictures")
    check.add_argument("--strict", action="store_true", help="exit code 2 on warnings too")
    check.set_defaults(run=_check)

    crops = run_command(commands, "crops", _crops, "cut a dataset's animals as the device does: RUN/crops.npz and .csv")
    crops.add_argument("dataset", type=Path, metavar="DATASET", help="folder with animals.csv and its pictures")
    crops.add_argument("--bundle", type=Path, help="its locator finds the animals; not needed where lines say where")
    crops.add_argument("--trust", type=Path, help="public key of the bundle (PEM)")
    crops.add_argument("--px-per-mm", type=scale, help="scale of pictures whose line gives none")
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
