"""`cageclock-train`: from pictures to a signed bundle, by commands that a biologist can run.

cageclock-train simulate --out RUN            render simulated mice
cageclock-train locator --data RUN --out RUN  train and quantise the locator on them
cageclock-train locator --dlc PROJECT --out RUN   ... on a DeepLabCut project, packed with the demo's age model
cageclock-train fit --out RUN                 train the age model
cageclock-train quantise --out RUN            int8, calibrated
cageclock-train evaluate --out RUN            the report
cageclock-train bundle --out RUN --key KEY    sign and pack
cageclock-train demo-bundle --out RUN         all of these
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from edge.errors import CageclockError, OperatorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see edge.errors)."""
    options = _parser().parse_args(arguments)
    try:
        result: int = options.run(options)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cageclock-train",
        description="From pictures to a signed, quantised bundle.",
        epilog="exit codes: 0 done, 2 a path or an option is wrong, 3 a bundle must not be used, 4 the machine failed",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    simulate = _command(commands, "simulate", _simulate, "render simulated mice into RUN/data.npz")
    simulate.add_argument("--cages", type=_positive, default=500, help="cages of 1-3 animals (default %(default)s)")
    simulate.add_argument("--frames", type=_positive, default=6, help="photographs a cage (default %(default)s)")
    simulate.add_argument("--workers", type=_positive, default=2, help="processes (default %(default)s)")

    locator = _command(commands, "locator", _locator, "train and quantise the two stages of the locator")
    source = locator.add_mutually_exclusive_group()
    source.add_argument("--dlc", type=Path, metavar="PROJECT", help="a DeepLabCut project; else RUN's simulated data")
    source.add_argument("--data", type=Path, metavar="RUN", help="simulated data of another run (default: --out)")
    locator.add_argument("--steps", type=_positive, help="steps of the second stage (default 2500; simulated 2000)")
    locator.add_argument("--centre-steps", type=_positive, help="steps of the first stage (default 800; simulated 900)")
    locator.add_argument("--px-per-mm", type=_scale, default=1.3, help="scale of its images (default %(default)s)")
    locator.add_argument("--age-from", type=Path, help="bundle whose age model is packed in (default: the demo's)")
    locator.add_argument("--key", type=Path, help="private signing key, made where it is missing (default RUN/key.pem)")
    locator.add_argument("--again", action="store_true", help="train anew although RUN holds the result")

    fit = _command(commands, "fit", _fit, "train the age model into RUN/age.keras")
    fit.add_argument("--steps", type=_positive, default=3000, help="training steps of 32 crops (default %(default)s)")
    fit.add_argument("--again", action="store_true", help="train anew although RUN holds the result")

    _command(commands, "quantise", _quantise, "int8 network, temperature, intervals and domain on held-out animals")
    _command(commands, "evaluate", _evaluate, "float and int8 on the same held-out animals: RUN/report.md and a sheet")

    bundle = _command(commands, "bundle", _bundle, "sign and pack")
    _bundle_options(bundle)
    demo = _command(commands, "demo-bundle", _demo_bundle, "all steps; what is there already is used again")
    demo.add_argument("--cages", type=_positive, default=500)
    demo.add_argument("--frames", type=_positive, default=6)
    demo.add_argument("--workers", type=_positive, default=2)
    demo.add_argument("--centre-steps", type=_positive, default=700)
    demo.add_argument("--part-steps", type=_positive, default=1500)
    demo.add_argument("--age-steps", type=_positive, default=3000)
    _bundle_options(demo)

    sheet = commands.add_parser("contact-sheet", help="draw what a bundle finds in a video or folder")
    sheet.add_argument("--bundle", type=Path, required=True)
    sheet.add_argument("--trust", type=Path, required=True, help="public key of the bundle (PEM)")
    sheet.add_argument("--source", type=Path, required=True, help="a video file or a folder of images")
    sheet.add_argument("--px-per-mm", type=_scale, default=None, help="scale of the pictures, if calibrated")
    sheet.add_argument("--frames", type=_positive, default=12, help="pictures to draw (default %(default)s)")
    sheet.add_argument("--measured", type=_positive, default=120, help="pictures to count over (default %(default)s)")
    sheet.add_argument("--out", type=Path, required=True, help="PNG to write")
    sheet.set_defaults(run=_contact_sheet)
    return parser


def _positive(text: str) -> int:
    value = int(text) if text.lstrip("-").isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text}")
    return value


def _scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1000:
        raise argparse.ArgumentTypeError(f"expected a number above 0 and below 1000, got {text}")
    return value


def _command(commands, name: str, run, text: str) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
    command: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    command.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run's folder")
    command.add_argument(
        "--seed", type=int, default=1, help="the same seed gives the same numbers (default %(default)s)"
    )
    command.set_defaults(run=run)
    return command


def _bundle_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--key", type=Path, help="private signing key, made where it is missing (default RUN/key.pem)")
    command.add_argument("--name", default="cageclock-demo")
    command.add_argument("--model-version", default="0.1.0")
    command.add_argument("--release", type=_positive, default=1, help="a counter that only rises (default %(default)s)")
    command.add_argument("--file", type=Path, help="bundle to write (default RUN/<name>.bundle)")


def _simulate(options: argparse.Namespace) -> int:
    from training.simulate import simulate

    again = " (there already, used again; remove it for another)" if (options.out / "data.npz").exists() else ""
    data = simulate(options.out, cages=options.cages, frames=options.frames, seed=options.seed, workers=options.workers)
    found = f"{len(data.views)} views, {len(data.parts)} part crops, {len(data.crops)} age crops"
    print(f"{options.out / 'data.npz'}: {found}{again}")
    return 0


def _locator(options: argparse.Namespace) -> int:
    _quiet()
    if options.dlc is not None:
        from training.footage import train_on_project

        figures = train_on_project(options)
    else:
        from training.steps import Effort, train_locator

        effort = Effort(centres=options.centre_steps or 900, parts=options.steps or 2000)
        figures = train_locator(options.data or options.out, effort, options.seed, again=options.again)
    _print_figures(figures)
    return 0


def _fit(options: argparse.Namespace) -> int:
    _quiet()
    from training.steps import Effort, train_age

    train_age(options.out, Effort(age=options.steps), options.seed, again=options.again)
    print(options.out / "age.keras")
    return 0


def _quantise(options: argparse.Namespace) -> int:
    _quiet()
    from training.steps import quantise_and_calibrate

    quantise_and_calibrate(options.out, options.seed)
    print(options.out / "age.tflite")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    _quiet()
    from training.steps import evaluate

    _print_figures(evaluate(options.out, options.seed))
    print(options.out / "report.md")
    return 0


def _bundle(options: argparse.Namespace) -> int:
    _quiet()
    from training.pack import Label
    from training.steps import bundle

    label = Label(options.name, options.model_version, options.release)
    path = options.file or options.out / f"{options.name}.bundle"
    sha256 = bundle(options.out, path, label, options.key or options.out / "key.pem", options.seed)
    print(f"{path}: {path.stat().st_size} bytes, sha256 {sha256}")
    return 0


def _demo_bundle(options: argparse.Namespace) -> int:
    _quiet()
    from training.steps import Effort, train_age, train_locator

    _simulate(options)
    effort = Effort(options.centre_steps, options.part_steps, options.age_steps)
    _print_figures(train_locator(options.out, effort, options.seed))
    train_age(options.out, effort, options.seed)
    _quantise(options)
    _evaluate(options)
    return _bundle(options)


def _contact_sheet(options: argparse.Namespace) -> int:
    from training.sheet import contact_sheet

    _print_figures(contact_sheet(options))
    print(options.out)
    return 0


def _print_figures(figures: dict[str, float]) -> None:
    for name, value in figures.items():
        print(f"{name:32} {value:.4g}")


def _quiet() -> None:
    from training.quantise import silence

    silence()


if __name__ == "__main__":
    sys.exit(main())
