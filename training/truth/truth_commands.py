"""`truth`: how far the run's model is from the best that simulated appearance allows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from training.command_options import positive, quiet, run_command
from training.run import Run
from training.truth.defaults import OPEN_FIELD


def add(commands: Any) -> None:
    """Add it to the parser."""
    command = run_command(commands, "truth", _truth, "against the simulated truth: RUN/truth.json")
    command.add_argument("--cages", type=positive, default=250, help="unseen cages to render (default %(default)s)")
    command.add_argument(
        "--scene-cages",
        type=positive,
        default=78,
        help="how many cages to render, each in a good scene and four foreign ones (default %(default)s)",
    )
    command.add_argument(
        "--oracle-animals",
        type=positive,
        default=24_000,
        help="how many animals the best possible answer learns from (default %(default)s)",
    )
    command.add_argument(
        "--interval-animals",
        type=positive,
        default=2000,
        help="how many animals to draw, half to calibrate and half to judge (default %(default)s)",
    )
    command.add_argument("--bundle", type=Path, help="default: RUN/cageclock-demo.bundle")
    command.add_argument("--trust", type=Path, help="its public key (default: RUN/key.pub)")
    command.add_argument("--open-field", type=Path, default=OPEN_FIELD, help="DeepLabCut project (default %(default)s)")
    command.add_argument("--workers", type=positive, default=2, help="processes (default %(default)s)")


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
