"""`associate`: the age gap against phenotypes, genotype, treatment and survival."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.argument_types import scale
from edge.contract.service.subcommands import Commands
from training.command_options import add_run_command


def add_commands(commands: Commands) -> None:
    """Add it to the training's command line."""
    text = "relate the age gap to phenotypes, genotype, treatment and survival: report.html, report.json, forest.png"
    command = add_run_command(commands, "associate", _associate, text)
    command.add_argument(
        "--predictions", type=Path, required=True, help="predictions.csv of a run, or the station's export (folder)"
    )
    command.add_argument("--phenotypes", type=Path, help="table of animals (default: further columns of --predictions)")
    again = command.add_mutually_exclusive_group()
    again.add_argument("--validate", metavar="P2.csv,T2.csv", help="a second cohort: its predictions and phenotypes")
    again.add_argument("--cohort", metavar="COLUMN", help="split by this column into discovery and validation")
    command.add_argument(
        "--discovery",
        metavar="VALUE",
        help="the value of --cohort whose animals are the discovery cohort (default: the larger one)",
    )
    columns = {"continuous": "numbers", "binary": "two values", "genotype": "alleles: 0, 1, 2, or +/+, +/-, -/-"}
    for name, kind in columns.items():
        command.add_argument(f"--{name}", type=_names, default=(), metavar="COL,...", help=f"columns of {kind}")
    command.add_argument("--treatment", metavar="COL", help="column of arms; adds the ratio of ageing rates")
    command.add_argument("--control", metavar="ARM", help="which arm is the control")
    command.add_argument(
        "--survival",
        type=_survival,
        action="append",
        default=[],
        metavar="TIME,EVENT[,ENTRY]",
        help="columns of age at the end in days, death or cull (1, dead, culled), and entry (default: first readings)",
    )
    command.add_argument(
        "--follow-up", action="store_true", help="survival times count from the first reading, not birth"
    )
    command.add_argument("--adjust", type=_names, default=(), metavar="COL,...", help="covariates besides age and sex")
    command.add_argument(
        "--age-term",
        choices=("spline", "linear"),
        default="spline",
        help="how age enters every model: a natural cubic spline, or a straight line (default %(default)s)",
    )
    command.add_argument(
        "--unit-days", type=scale, metavar="DAYS", help="give effects per so many days of gap (default: one SD)"
    )


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise argparse.ArgumentTypeError(f"expected column names joined by commas, got {text!r}")
    return names


def _survival(text: str) -> tuple[str, str, str | None]:
    names = _names(text)
    if len(names) not in (2, 3):
        raise argparse.ArgumentTypeError(f"expected TIME,EVENT or TIME,EVENT,ENTRY, got {text!r}")
    return names[0], names[1], names[2] if len(names) == 3 else None


def _associate(options: argparse.Namespace) -> int:
    from training.statistics.associate import associate_files
    from training.statistics.panel import AnalysisPlan

    plan = AnalysisPlan(
        continuous=options.continuous,
        binary=options.binary,
        genotype=options.genotype,
        treatment=options.treatment,
        control=options.control,
        survival=tuple(options.survival),
        covariates=("age_days", "sex", *options.adjust),
        follow_up=options.follow_up,
        unit_days=options.unit_days,
        age_term=options.age_term,
    )
    found = associate_files(
        options.out,
        options.predictions,
        options.phenotypes,
        plan,
        validate=options.validate,
        by=options.cohort,
        discovery=options.discovery,
        seed=options.seed,
    )
    for line in found.lines:
        print(line)
    options.figures.add(found.figures)
    print(options.out / "report.html")
    return 0
