"""`fit --route features`: a light regressor on a table of features, or on a frozen embedding of a run's crops."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.errors import OperatorError
from training.command_options import quiet
from training.run import Run

_SHOWN = ("mae", "mae_constant", "mae_row_split", "leakage_index", "r2", "r", "coverage_90", "width_90", "gap_slope")


def add_options(fit: argparse.ArgumentParser) -> None:
    """Add the route's options to `fit`."""
    route = fit.add_argument_group("route features")
    route.add_argument("--table", type=Path, metavar="CSV", help="one line a reading; several of an animal are welcome")
    route.add_argument("--target", metavar="COLUMN", help="what to predict, for example the age")
    route.add_argument("--group", metavar="COLUMN", help="the animal's name; never on two sides of a split")
    route.add_argument("--drop", nargs="+", action="extend", default=[], metavar="COLUMN", help="not to be used")
    route.add_argument(
        "--keep", nargs="+", action="extend", default=[], metavar="COLUMN", help="use it although it may leak"
    )
    route.add_argument("--weigh-animals", action="store_true", help="animals count equally, not their readings")
    route.add_argument("--run", dest="embedding_run", type=Path, metavar="RUN", help="instead of a table: RUN's crops")
    route.add_argument("--network-from", type=Path, metavar="RUN", help="the run whose network embeds (default: --run)")
    route.add_argument(
        "--embedding",
        choices=("int8", "float", "backbone"),
        default="int8",
        help="of RUN's age network, or of its self-supervised backbone (default %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Fit, judge, write, and print the figures."""
    import sys

    from training.features.prepare import prepare
    from training.features.route import fit_features

    if options.embedding_run is not None and options.table is None:
        quiet()
        from training.features.embedding import embedded

        network = Run(options.network_from) if options.network_from else None
        table = embedded(Run(options.embedding_run), options.embedding, options.seed, network)
        source = f"{options.embedding} embedding"
    elif options.table is None or options.target is None or options.group is None or options.embedding_run is not None:
        raise OperatorError(
            "fit --route features: expected --table CSV with --target COLUMN and --group COLUMN, or --run RUN alone"
        )
    else:
        names = [[part for text in given for part in _split(text)] for given in (options.drop, options.keep)]
        table = prepare(options.table, options.target, options.group, *names)
        source = options.table.name
    for text in table.warnings:
        print(f"warning: {text}", file=sys.stderr)
    report = fit_features(table, options.out, options.seed, weigh=options.weigh_animals, source=source)
    options.figures.show({name: report[name] for name in _SHOWN})
    print(f"{'model':32} {report['model']}")
    print(options.out / "report.md")
    return 0


def _split(text: str) -> list[str]:
    """Return the names of `A,B` as well as of `A B`."""
    return [part.strip() for part in text.split(",") if part.strip()]
