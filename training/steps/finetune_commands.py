"""`fit --route finetune`, `pretrain` and `candidates`: the age model's networks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.contract.service.argument_types import positive
from edge.contract.service.subcommands import Commands
from training.command_options import add_run_command, quiet
from training.run import Run

NETWORK = "plain-WIDTH or mobilenet-WIDTH (default %(default)s)"
REDUCE = "average the crop over squares of so many pixels inside the network (default %(default)s)"


def add_commands(commands: Commands) -> None:
    """Add `pretrain` and `candidates` to the training's command line."""
    command = add_run_command(commands, "pretrain", _pretrain, "train a backbone without ages: RUN/backbone.keras")
    command.add_argument("--method", choices=("vicreg", "simsiam"), default="vicreg", help="(default %(default)s)")
    command.add_argument(
        "--crops", type=Path, metavar="RUN|FOLDER|VIDEO", help="what to look at (default: the run's training cages)"
    )
    command.add_argument(
        "--most", type=positive, default=20_000, metavar="N", help="how many crops to keep (default %(default)s)"
    )
    command.add_argument(
        "--steps", type=positive, default=3000, metavar="STEPS", help="training steps (default %(default)s)"
    )
    command.add_argument(
        "--batch", type=positive, default=64, metavar="N", help="how many crops a step sees (default %(default)s)"
    )
    command.add_argument("--licence", default="own pictures", help="under what terms they are (default %(default)s)")
    command.add_argument("--again", action="store_true", help="train anew although RUN holds the result")
    _network_options(command)

    command = add_run_command(commands, "candidates", _candidates, "compare networks: error, bytes and latency of each")
    command.add_argument("--profile", choices=("short", "full"), default="short", help="(default %(default)s)")
    command.add_argument(
        "--steps", type=positive, metavar="STEPS", help="training steps of each (default 1000; full 3000)"
    )


def add_options(fit: argparse.ArgumentParser) -> None:
    """Add the route's options to `fit`."""
    route = fit.add_argument_group("route finetune")
    route.add_argument(
        "--steps", type=positive, default=4000, metavar="STEPS", help="training steps of 32 crops (default %(default)s)"
    )
    _network_options(route)
    route.add_argument(
        "--head",
        choices=("auto", "distribution", "gaussian", "quantile"),
        default="distribution",
        help="auto: the three compete on CRPS by animal inside the training animals (default %(default)s)",
    )
    route.add_argument(
        "--head-steps",
        type=positive,
        default=1500,
        metavar="STEPS",
        help="training steps of each competitor (default %(default)s)",
    )
    route.add_argument(
        "--weights",
        default="none",
        metavar="none|FILE|imagenet",
        help="the backbone's first weights: the RUN of `pretrain`, or MobileNetV2 weights (.h5); imagenet "
        "takes Keras' own file where a person has put it, nothing is fetched (default %(default)s)",
    )
    route.add_argument("--weights-licence", help="the file's licence (default: what lies beside it)")


def run(options: argparse.Namespace) -> int:
    """Train the age model by this route."""
    from training.age.initial_weights import find_weights

    weights = find_weights(options.weights, options.network, options.weights_licence)
    quiet()
    from training.age.finetune import Finetune
    from training.age.fit import Architecture
    from training.steps.fit import train_age

    settings = Finetune(
        steps=options.steps,
        architecture=Architecture(options.network, options.reduce),
        head=options.head,
        head_steps=options.head_steps,
        weights=weights,
    )
    train_age(Run(options.out), settings, options.seed, again=options.again)
    print(options.out / "age.keras")
    return 0


def _network_options(command: Any) -> None:
    command.add_argument("--network", default="plain-1", metavar="NAME", help=NETWORK)
    command.add_argument("--reduce", type=positive, default=1, metavar="N", help=REDUCE)


def _pretrain(options: argparse.Namespace) -> int:
    path = options.out / "backbone.keras"
    if path.exists() and not options.again:
        print(f"{path} (there already, used again; --again trains anew)")
        return 0
    quiet()
    from training.age.finetune import pretrain_run
    from training.age.fit import Architecture
    from training.networks.int8 import import_backend
    from training.networks.shapes import age_spec

    import_backend()
    record = pretrain_run(
        Run(options.out),
        options.crops or options.out,
        age_spec(),
        Architecture(options.network, options.reduce),
        method=options.method,
        steps=options.steps,
        batch=options.batch,
        most=options.most,
        licence=options.licence,
        seed=options.seed,
    )
    options.figures.show({name: value for name, value in record.items() if isinstance(value, (int, float))})
    print(path)
    return 0


def _candidates(options: argparse.Namespace) -> int:
    quiet()
    from training.age.network_comparison import PROFILES, compare_candidates

    print(compare_candidates(Run(options.out), PROFILES[options.profile], options.steps, options.seed))
    print(options.out / "candidates.md")
    return 0
