"""`fit`, `quantise`, `evaluate`: the age model."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.manifest import AGE
from edge.contract.service.subcommands import Commands
from training.command_options import add_run_command, quiet
from training.features import features_commands as features
from training.run import Run
from training.steps import finetune_commands as finetune


def add_commands(commands: Commands) -> None:
    """Add them to the training's command line."""
    fit = add_run_command(commands, "fit", _fit, "train the age model into RUN/age.keras, or a regressor on features")
    fit.add_argument("--route", choices=("finetune", "features"), default="finetune", help="(default %(default)s)")
    finetune.add_options(fit)
    features.add_options(fit)
    fit.add_argument("--again", action="store_true", help="train anew although RUN holds the result")

    quantise = add_run_command(
        commands,
        "quantise",
        run_quantise,
        "turn the networks into int8, and calibrate temperature, intervals and domain on held-out animals",
    )
    evaluate = add_run_command(
        commands,
        "evaluate",
        run_evaluate,
        "float and int8 on the same held-out animals: RUN/report.html, report.json, predictions.csv",
    )
    for command, use in ((quantise, "calibrate the intervals of days and weeks"), (evaluate, "measure test-retest")):
        text = f"crops of further animals, read repeatedly, that {use}"
        command.add_argument("--repeated", type=Path, metavar="RUN2", help=text)


def _fit(options: argparse.Namespace) -> int:
    return features.run(options) if options.route == "features" else finetune.run(options)


def run_quantise(options: argparse.Namespace) -> int:
    """Quantise and calibrate."""
    quiet()
    from training.steps.quantise import quantise_and_calibrate

    run = Run(options.out)
    quantise_and_calibrate(run, options.seed, _further(options))
    print(run.path(AGE))
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """Write the report."""
    quiet()
    from training.steps.evaluate import evaluate

    run = Run(options.out)
    options.figures.show(evaluate(run, options.seed, _further(options)))
    print(run.path("report.html"))
    return 0


def _further(options: argparse.Namespace) -> Run | None:
    return Run(options.repeated) if options.repeated else None
