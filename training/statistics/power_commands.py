"""`power`: how large a study must be to see a change of the ageing rate; `studies`: what its statistics then keep."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.contract.service.argument_types import between, positive, scale
from edge.contract.service.subcommands import Commands
from training.command_options import add_run_command

if TYPE_CHECKING:
    from training.statistics.errors import ErrorModel
    from training.statistics.studies import Design


def add_commands(commands: Commands) -> None:
    """Add them to the training's command line."""
    text = "animals and readings that a study needs, from the model's test-retest figures: power.csv, power.png"
    command = add_run_command(commands, "power", _power, text)
    command.add_argument(
        "--power",
        type=between(0.05, 1),
        default=0.8,
        metavar="SHARE",
        help="the power that is wanted, a share of studies (default %(default)s)",
    )
    command.add_argument(
        "--studies",
        type=positive,
        default=1000,
        metavar="N",
        help="how many studies to simulate as a check (default %(default)s)",
    )
    command.add_argument(
        "--correlation",
        type=between(0, 1),
        metavar="SHARE",
        help="plan an association instead: a phenotype's correlation with the animals' gap at given age and sex",
    )
    command.add_argument(
        "--age-term",
        choices=("spline", "linear"),
        default="spline",
        help="with --correlation: how age enters the model, as of associate (default %(default)s)",
    )
    _add_errors_and_design(command)
    text = "simulate whole studies from a model's errors: coverage, false positives and power of the slope ratio"
    command = add_run_command(commands, "studies", _studies, f"{text}: studies.json")
    command.add_argument(
        "--animals", type=positive, default=40, metavar="N", help="how many animals each arm has (default %(default)s)"
    )
    command.add_argument(
        "--studies", type=positive, default=1000, metavar="N", help="how many studies to simulate (default %(default)s)"
    )
    _add_errors_and_design(command)


def _add_errors_and_design(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--report", "--predictions", type=Path, metavar="RUN", help="a run with predictions.csv, or the table"
    )
    command.add_argument(
        "--sem",
        type=scale,
        metavar="DAYS",
        help="the standard deviation of the estimates of one animal on several days",
    )
    command.add_argument(
        "--icc",
        type=between(0, 1),
        metavar="SHARE",
        help="share of the gap's variance that is the animal's, above 0 and below 1",
    )
    command.add_argument(
        "--rate-sd",
        type=between(0, 5, low_too=True),
        default=0.2,
        metavar="SHARE",
        help="how much animals differ in their rate of ageing: SD of slopes, a share of the mean (default %(default)s)",
    )
    command.add_argument(
        "--shrinkage",
        type=between(0, 5),
        default=0.75,
        metavar="WEEKS",
        help="weeks that an animal looks older for each week that it is older (default %(default)s)",
    )
    command.add_argument(
        "--change",
        type=between(0, 1),
        default=0.2,
        metavar="SHARE",
        help="the change that is to be found, as a share of the rate (default %(default)s)",
    )
    command.add_argument(
        "--readings", type=positive, default=12, metavar="N", help="how many days have a reading (default %(default)s)"
    )
    command.add_argument(
        "--pictures", type=positive, default=4, metavar="N", help="how many pictures a day (default %(default)s)"
    )
    command.add_argument(
        "--from-days", type=scale, default=250.0, metavar="DAYS", help="age at the first reading (default %(default)s)"
    )
    command.add_argument(
        "--until-days",
        type=between(0, 2000),
        default=650.0,
        metavar="DAYS",
        help="age at the last reading (default %(default)s)",
    )
    command.add_argument(
        "--missed",
        type=between(0, 1, low_too=True),
        default=0.15,
        metavar="SHARE",
        help="share of days without a reading (default %(default)s)",
    )
    command.add_argument(
        "--dropout",
        type=between(0, 1, low_too=True),
        default=0.2,
        metavar="SHARE",
        help="share of animals that leave early (default %(default)s)",
    )
    command.add_argument(
        "--day-correlation",
        type=between(0, 0.99, low_too=True),
        metavar="SHARE",
        help="correlation of an animal's errors on neighbouring reading days (default: as in --report, else 0)",
    )
    command.add_argument(
        "--per-cage",
        type=positive,
        default=1,
        metavar="N",
        help="how many animals a cage has; with more than 1, the cage is the unit (default %(default)s)",
    )
    command.add_argument(
        "--cage-sd",
        type=between(0, 1, low_too=True),
        default=0.0,
        metavar="SHARE",
        help="SD of the cages' rates, as a share of the mean (default %(default)s)",
    )


def _power(options: argparse.Namespace) -> int:
    from training.statistics.power import plan_study

    errors, design = _errors(options), _design(options)
    if options.correlation is not None:
        from training.statistics.association_power import plan_association

        found = plan_association(options.out, errors, design, options.correlation, options.power, options.age_term)
        for row in found["table"]:
            print(f"{row['readings']:4} days with a reading: {row['animals'] or 'more than 2000'} animals")
        options.figures.add(_enough(found["table"], "animals"))
        print(options.out / "power.csv")
        return 0
    found = plan_study(options.out, errors, design, options.change, options.power, options.studies, options.seed)
    for row in found["table"]:
        animals = row["animals_per_arm"] or "more than 2000"
        print(f"{row['readings']:4} days with a reading: {animals} animals an arm")
    print(f"days correlated at {found['day_correlation']:.2f} ({found['day_correlation_from']}); animals an arm if at")
    for correlation, animals in found["sensitivity"].items():
        print(f"{correlation:>4}: {animals or 'more than 2000'}")
    options.figures.add(_enough(found["table"], "animals_per_arm"))
    if found["power_simulated"] is not None:
        # Two digits: more are the luck of the simulated studies.
        name, share = f"simulated power with {options.readings} days", round(found["power_simulated"], 2)
        print(f"{name}: {share:.2f}")
        options.figures.add({name: share})
    print(options.out / "power.png")
    return 0


def _enough(table: list[dict[str, Any]], column: str) -> dict[str, float]:
    """Return the animals that are enough by the days with a reading, where any number is."""
    return {f"{row['readings']} days with a reading": row[column] for row in table if row[column] is not None}


def _studies(options: argparse.Namespace) -> int:
    import json
    from dataclasses import replace

    from training.statistics.studies import run

    design = replace(_design(options), animals=options.animals)
    found = run(_errors(options), studies=options.studies, change=options.change, design=design, seed=options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "studies.json").write_text(json.dumps(found, indent=1) + "\n")
    options.figures.show({name: value for name, value in found.items() if isinstance(value, float)})
    print(options.out / "studies.json")
    return 0


def _errors(options: argparse.Namespace) -> ErrorModel:
    from edge.errors import OperatorError
    from training.statistics.errors import fit_errors
    from training.statistics.gaps import read_gaps
    from training.statistics.power import from_figures

    if options.report is not None:
        readings, _, remarks = read_gaps(options.report)
        for text in remarks:
            print(f"warning: {text}", file=sys.stderr)
        return fit_errors(readings, str(options.report))
    if options.sem is not None and options.icc is not None:
        return from_figures(options.sem, options.icc, options.rate_sd, options.shrinkage)
    raise OperatorError("expected the errors of a model: give --report RUN, or --sem and --icc")


def _design(options: argparse.Namespace) -> Design:
    from edge.errors import OperatorError
    from training.statistics.studies import Design

    if options.readings < 3:
        raise OperatorError(f"--readings: expected 3 or more days for a slope, got {options.readings}")
    if options.until_days <= options.from_days:
        raise OperatorError(f"--until-days: expected more than --from-days {options.from_days:g}")
    return Design(
        readings=options.readings,
        first_days=options.from_days,
        last_days=options.until_days,
        readings_a_day=options.pictures,
        missed=options.missed,
        dropout=options.dropout,
        per_cage=options.per_cage,
        cage_rate_sd=options.cage_sd,
        cage_unit=options.per_cage > 1,
        day_correlation=options.day_correlation,
    )
