"""`train-report`: every figure of the training, from pictures to the simulated truth, in one resumable run."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.contract.service.argument_types import positive
from edge.contract.service.subcommands import Commands
from training.command_options import add_run_command
from training.steps.resumable import Step
from training.truth.defaults import OPEN_FIELD


def add_commands(commands: Commands) -> None:
    """Add it to the training's command line."""
    command = add_run_command(
        commands, "train-report", _report, "all figures in one resumable run: RUN/table-PROFILE.md"
    )
    command.add_argument("--profile", choices=("short", "full"), default="short", help="(default %(default)s)")
    command.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="how many steps run at a time (default %(default)s)"
    )
    command.add_argument("--open-field", type=Path, default=OPEN_FIELD, help="DeepLabCut project (default %(default)s)")


def _report(options: argparse.Namespace) -> int:
    from training.steps.resumable import run_steps, table_of

    steps = steps_of(options.out, options.profile, options.seed, options.open_field)
    table = table_of(run_steps(options.out, steps, options.workers))
    path = options.out / f"table-{options.profile}.md"
    seeds = f"seed {options.seed}" if options.profile == "short" else f"seeds {options.seed} to {options.seed + 2}"
    path.write_text(f"Profile {options.profile}, {seeds}.\n\n{table}")
    print(table, end="")
    print(path)
    return 0


def steps_of(out: Path, profile: str, seed: int, open_field: Path) -> list[Step]:
    """Return the steps: short is one seed, two folds and under an hour of CPU; full adds what takes a night.

    Two more seeds of the model, its truth and its studies, all candidate networks, and five folds of the locator with
    all steps and its learning curve. Where a short report lies in the same folder, its model is not trained again.
    """
    short = profile == "short"
    steps = _on_model(out, seed, open_field)
    run = out / f"model-{seed}"
    table = (run / "predictions.csv",)
    latents = ("truth_rate", "truth_greying", "truth_thinning", "truth_kyphosis", "truth_obesity")
    associate = ("associate", "--predictions", str(table[0]), "--continuous", ",".join(latents))
    after = (f"model-{seed}",)
    steps += [
        _step(out, "studies", seed, ("studies", "--report", str(run)), table, after),
        _step(out, "power", seed, ("power", "--report", str(run)), table, after),
        _step(out, "associate", seed, associate, table, after),
        _step(out, "features", seed, ("fit", "--route", "features", "--run", str(run)), (run / "age.tflite",), after),
    ]
    if open_field.is_dir():
        steps += _on_open_field(out, seed, open_field, short=short)
    if not short:
        candidates = ("candidates", "--out", str(run), "--seed", str(seed), "--profile", "full")
        steps.append(Step("candidates", candidates, (run / "data.npz",), after))
        for other in (seed + 1, seed + 2):
            run = out / f"model-{other}"
            line = ("studies", "--report", str(run))
            steps += _on_model(out, other, open_field)
            steps.append(_step(out, f"studies-{other}", other, line, (run / "predictions.csv",), (f"model-{other}",)))
    return steps


def _on_model(out: Path, seed: int, open_field: Path) -> list[Step]:
    """Return a model's making, and its comparison with the simulated truth."""
    run = out / f"model-{seed}"
    same = ("--out", str(run), "--seed", str(seed))
    reads = (run / "age.tflite", run / "age.json", run / "calibration.json")
    truth = ("truth", *same, "--open-field", str(open_field))
    return [
        Step(f"model-{seed}", ("demo-bundle", *same)),
        Step(f"truth-{seed}", truth, reads, (f"model-{seed}",)),
    ]


def _on_open_field(out: Path, seed: int, project: Path, *, short: bool) -> list[Step]:
    """Return what real footage says of the locator."""
    report = ("locator-report", "--dlc", str(project))
    if short:
        # A learning curve of so few steps says nothing, and one split less than two folds.
        effort = ("--folds", "2", "--steps", "300", "--centre-steps", "120", "--curve-steps", "0")
        return [_step(out, "locator-two-folds", seed, (*report, *effort))]
    return [_step(out, "locator-five-folds", seed, report)]


def _step(
    out: Path,
    name: str,
    seed: int,
    line: tuple[str, ...],
    reads: tuple[Path, ...] = (),
    after: tuple[str, ...] = (),
) -> Step:
    """Return a step with a folder of its own."""
    return Step(name, (*line, "--out", str(out / name), "--seed", str(seed)), reads, after)
