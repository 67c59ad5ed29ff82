"""`cageclock-train`: from pictures to a signed bundle, by commands that a biologist can run.

cageclock-train simulate --out RUN            render simulated mice: data.npz, crops.npz, crops.csv
cageclock-train locator --data RUN --out RUN  train and quantise the locator on them
cageclock-train locator --dlc PROJECT --out RUN   ... on a DeepLabCut project, packed with the demo's age model
cageclock-train locator-report --dlc PROJECT --out RUN   cross-validate it
cageclock-train suggest --run RUN SOURCE --out PROJECT   frames to label next
cageclock-train pretrain --out RUN            train the age model's backbone without ages (optional)
cageclock-train candidates --out RUN          compare networks (optional)
cageclock-train check DATASET                 what is wrong with your pictures and their table, what will mislead
cageclock-train crops DATASET --out RUN       your animals, cut as the device cuts them
cageclock-train fit --out RUN                 train the age model
cageclock-train fit --route features --table T.csv --target AGE --group SUBJECT --out RUN   ... on a table of features
cageclock-train quantise --out RUN            int8, calibrated
cageclock-train evaluate --out RUN            the report
cageclock-train card-template --out FILE      the model card's questions, for people to answer
cageclock-train bundle --out RUN --key KEY    sign and pack
cageclock-train bundle build|sign|verify|inspect|diff   ... or step by step, several people signing in turn
cageclock-train keys create|init|show|rotate|revoke|sign   who may sign models for the lab's devices
cageclock-train associate --predictions P --out RUN   the age gap against phenotypes, genotype, treatment, survival
cageclock-train power --predictions P --out RUN       animals and readings that a study needs
cageclock-train demo-bundle --out RUN         all of these
cageclock-train truth --out RUN               the model against the simulated truth
cageclock-train train-report --out RUN        every figure, in one resumable run
cageclock-train --figures FILE COMMAND ...    any of these, its figures as JSON in FILE besides
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from edge.contract.service.arguments import with_file_names
from edge.contract.service.exit_codes import BUNDLE, MACHINE, PASSED_OVER
from edge.contract.service.subcommands import make_program
from edge.errors import CageclockError, OperatorError
from edge.version import add_version
from training.bundle import keys_commands
from training.command_options import AGAIN
from training.dataset import dataset_commands
from training.figures import Figures
from training.locator import suggest_commands
from training.statistics import associate_commands, power_commands
from training.steps import (
    age_commands,
    bundle_commands,
    finetune_commands,
    locator_commands,
    train_report_commands,
)
from training.truth import truth_commands

COMMANDS = (
    bundle_commands,
    keys_commands,
    locator_commands,
    suggest_commands,
    dataset_commands,
    finetune_commands,
    age_commands,
    associate_commands,
    power_commands,
    truth_commands,
    train_report_commands,
)
EXITS = BUNDLE | MACHINE | PASSED_OVER | AGAIN


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see edge.errors)."""
    parser = make_parser()
    options = parser.parse_args(with_file_names(parser, arguments))
    try:
        options.figures = Figures(options.figures)
        result: int = options.run(options)
        options.figures.write()
    except CageclockError as error:
        print(f"cageclock-train: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"cageclock-train: {error.filename or 'disk'}: {error.strerror or error}", file=sys.stderr)
        return OperatorError.exit_code
    except KeyboardInterrupt:
        print("cageclock-train: interrupted; finished steps are kept, the same command goes on", file=sys.stderr)
        return 130
    return result


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = make_program("cageclock-train", "From pictures to a signed, quantised bundle.", COMMANDS, EXITS)
    parser.add_argument(
        "--figures", type=Path, metavar="FILE", help="write the command's figures there too: JSON, numbers by name"
    )
    add_version(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
