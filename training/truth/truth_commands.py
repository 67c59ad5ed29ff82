"""`truth`: how far the run's model is from the best that simulated appearance allows."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.argument_types import positive
from edge.contract.service.exit_codes import BUNDLE, MACHINE
from edge.contract.service.subcommands import Commands
from training.command_options import add_run_command, quiet
from training.run import Run
from training.truth.defaults import OPEN_FIELD


def add_commands(commands: Commands) -> None:
    """Add it to the training's command line."""
    command = add_run_command(
        commands, "truth", _truth, "compare the model with the simulated truth: RUN/truth.json", exits=BUNDLE | MACHINE
    )
    command.add_argument(
        "--cages", type=positive, default=250, metavar="N", help="how many unseen cages to render (default %(default)s)"
    )
    command.add_argument(
        "--scene-cages",
        type=positive,
        default=78,
        metavar="N",
        help="how many cages to render, each in a good scene and four foreign ones (default %(default)s)",
    )
    command.add_argument(
        "--oracle-animals",
        type=positive,
        default=24_000,
        metavar="N",
        help="how many animals the best possible answer learns from (default %(default)s)",
    )
    command.add_argument(
        "--interval-animals",
        type=positive,
        default=2000,
        metavar="N",
        help="how many animals to draw, half to calibrate and half to judge (default %(default)s)",
    )
    command.add_argument("--bundle", type=Path, help="default: RUN/cageclock-demo.bundle")
    command.add_argument("--trust", type=Path, help="its public key (default: RUN/key.pub)")
    command.add_argument("--open-field", type=Path, default=OPEN_FIELD, help="DeepLabCut project (default %(default)s)")
    command.add_argument(
        "--workers",
        type=positive,
        default=2,
        metavar="N",
        help="how many processes work at a time (default %(default)s)",
    )


def _truth(options: argparse.Namespace) -> int:
    quiet()
    from training.truth.measure import Signed, Size, measure_truth

    run = Run(options.out)
    figures = measure_truth(
        run,
        Signed(options.bundle or run.path("cageclock-demo.bundle"), options.trust or run.path("key.pub")),
        Size(options.cages, options.scene_cages, options.oracle_animals, options.interval_animals),
        open_field=options.open_field if options.open_field.is_dir() else None,
        seed=options.seed,
        workers=options.workers,
    )
    if not options.open_field.is_dir():
        print(f"{options.open_field}: not there, so the open field is not among the foreign scenes")
    options.figures.show(figures)
    print(run.path("truth.json"))
    return 0
