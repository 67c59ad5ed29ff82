"""`simulate`, `bundle`, and `demo-bundle`, which does all steps."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from edge.contract.service.argument_types import positive
from edge.contract.service.exit_codes import BUNDLE, MACHINE
from edge.contract.service.subcommands import Commands, add_command
from edge.errors import OperatorError
from training.bundle import bundle_file_commands
from training.command_options import add_run_command, named_key, quiet
from training.run import DATA, Run
from training.steps.age_commands import run_evaluate, run_quantise


def add_commands(commands: Commands) -> None:
    """Add them to the training's command line."""
    simulate = add_run_command(commands, "simulate", _simulate, "render simulated mice into RUN/data.npz")
    simulate.add_argument(
        "--cages", type=positive, default=500, metavar="N", help="how many cages of 1-3 animals (default %(default)s)"
    )
    simulate.add_argument(
        "--frames", type=positive, default=6, metavar="N", help="how many photographs a cage (default %(default)s)"
    )
    simulate.add_argument(
        "--days",
        type=positive,
        default=1,
        metavar="N",
        help="on how many days in a row each is photographed; the number of days (default %(default)s)",
    )
    simulate.add_argument(
        "--repeats", type=positive, default=1, metavar="N", help="how many photographs a day (default %(default)s)"
    )
    simulate.add_argument(
        "--workers",
        type=positive,
        default=2,
        metavar="N",
        help="how many processes work at a time (default %(default)s)",
    )

    exits = BUNDLE | MACHINE
    bundle = add_command(commands, "bundle", _bundle, "pack and sign a run, or: an action", exits=exits)
    _build_options(bundle, required=False)
    _bundle_options(bundle)
    actions = bundle.add_subparsers(title="actions", metavar="ACTION")
    build = add_command(actions, "build", _build, "pack a run, unsigned; people sign it in turn", exits=exits)
    _build_options(build, required=True)
    _label_options(build)
    bundle_file_commands.add_actions(actions)
    template = add_command(
        commands, "card-template", _template, "write the questions of the model card, to be answered"
    )
    template.add_argument("--out", type=Path, required=True, metavar="FILE", help="YAML to write; none is overwritten")
    demo = add_run_command(commands, "demo-bundle", _demo_bundle, "all steps; what is there already is used again")
    demo.add_argument(
        "--cages", type=positive, default=500, metavar="N", help="how many cages of 1-3 animals (default %(default)s)"
    )
    demo.add_argument(
        "--frames", type=positive, default=6, metavar="N", help="how many photographs a cage (default %(default)s)"
    )
    demo.add_argument(
        "--workers",
        type=positive,
        default=2,
        metavar="N",
        help="how many processes work at a time (default %(default)s)",
    )
    demo.add_argument(
        "--centre-steps",
        type=positive,
        default=700,
        metavar="STEPS",
        help="training steps of the first stage (default %(default)s)",
    )
    demo.add_argument(
        "--part-steps",
        type=positive,
        default=1500,
        metavar="STEPS",
        help="training steps of the second stage (default %(default)s)",
    )
    demo.add_argument(
        "--age-steps",
        type=positive,
        default=4000,
        metavar="STEPS",
        help="training steps of the age model (default %(default)s)",
    )
    _bundle_options(demo)


def _build_options(command: argparse.ArgumentParser, *, required: bool) -> None:
    command.add_argument("--out", type=Path, required=required, metavar="RUN", help="the run's folder")
    command.add_argument(
        "--seed", type=int, default=1, metavar="SEED", help="as of the steps before (default %(default)s)"
    )
    command.add_argument(
        "--locator",
        type=Path,
        metavar="RUN_OR_BUNDLE",
        help="where the locator comes from, if not from this run; a bundle's public key lies beside it as .pub",
    )


def _bundle_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--key", type=Path, help="private signing key (default: RUN/key.pem, made where missing)")
    command.add_argument("--passphrase-file", type=Path, metavar="FILE", help="of the key, where nobody sits there")
    command.add_argument(
        "--release",
        type=positive,
        metavar="RELEASE",
        help="a whole number above all before (default: counted in the ledger)",
    )
    command.add_argument("--ledger", type=Path, metavar="FILE", help="releases by channel (default: RUN/releases.json)")
    _label_options(command)


def _label_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", help="default cageclock-demo; own-animals where the run holds your own")
    command.add_argument("--model-version", default="0.1.0", help="for people (default %(default)s)")
    command.add_argument("--file", type=Path, help="bundle to write (default RUN/<name>.bundle)")
    command.add_argument("--channel", help="of the devices (default: demo; own where the run holds your own)")
    command.add_argument("--card-answers", type=Path, metavar="FILE", help="answers for the model card (YAML)")


def _simulate(options: argparse.Namespace) -> int:
    from training.simulated.render import simulate

    run = Run(options.out)
    again = " (there already, used again; remove it for another)" if run.has(DATA) else ""
    data = simulate(
        run,
        cages=options.cages,
        frames=options.frames,
        seed=options.seed,
        workers=options.workers,
        days=getattr(options, "days", 1),
        repeats=getattr(options, "repeats", 1),
    )
    found = f"{len(data.views)} views, {len(data.parts)} part crops, {len(data.crops)} age crops"
    print(f"{run.path(DATA)}: {found}{again}")
    options.figures.add({"simulated views": len(data.views)})
    return 0


def _bundle(options: argparse.Namespace) -> int:
    return _packed(options, sign=True)


def _build(options: argparse.Namespace) -> int:
    return _packed(options, sign=False)


def _packed(options: argparse.Namespace, *, sign: bool) -> int:
    if options.out is None:
        raise OperatorError("bundle: expected --out RUN, or an action: build, sign, verify, inspect, diff")
    named = named_key(options.key) if sign else None
    quiet()
    from training.bundle.pack import OWN_KEY
    from training.steps.bundle import Given, bundle, label_of

    run = Run(options.out)
    label = label_of(run, options.name, options.model_version, getattr(options, "release", None))
    label = replace(label, channel=options.channel or label.channel)
    path = options.file or run.path(f"{label.name}.bundle")
    given = Given(
        getattr(options, "locator", None),
        options.card_answers,
        getattr(options, "passphrase_file", None),
        getattr(options, "ledger", None),
    )
    key = (named or run.path(OWN_KEY)) if sign else None
    sha256 = bundle(run, path, label, key, options.seed, given)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {sha256}")
    options.figures.add({"bundle bytes": path.stat().st_size})
    return 0


def _template(options: argparse.Namespace) -> int:
    from training.card.answers import write_template

    write_template(options.out)
    print(f"{options.out}: answer what is known, then `cageclock-train bundle --card-answers {options.out}`")
    return 0


def _demo_bundle(options: argparse.Namespace) -> int:
    quiet()
    from training.age.finetune import Finetune
    from training.steps.fit import train_age
    from training.steps.locator_from_simulation import Effort, train_locator

    _simulate(options)
    run = Run(options.out)
    options.figures.show(train_locator(run, Effort(options.centre_steps, options.part_steps), options.seed))
    train_age(run, Finetune(steps=options.age_steps), options.seed)
    options.repeated = _repeated(options)
    run_quantise(options)
    run_evaluate(options)
    return _bundle(options)


def _repeated(options: argparse.Namespace) -> Path:
    """Return the run beside it that holds other cages, read repeatedly: at most half as many cages as its own."""
    from training.age.repeated_readings import CAGES, DAYS, REPEATS, SEEDS
    from training.simulated.render import simulate

    out: Path = options.out / "repeated"
    cages = min(CAGES, max(2, options.cages // 2))
    visits = {"frames": 1, "days": DAYS, "repeats": REPEATS}
    simulate(Run(out), cages=cages, seed=options.seed + SEEDS, workers=options.workers, **visits)
    return out
