"""`train-report`: every figure of the training, from pictures to the simulated truth, in one resumable run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from training.commands.options import run_command
from training.truth.defaults import OPEN_FIELD
from training.truth.resume import Step


def add(commands: Any) -> None:
    """Add it to the parser."""
    command = run_command(commands, "train-report", _report, "all figures in one resumable run: RUN/table.md")
    command.add_argument("--profile", choices=("short", "full"), default="short", help="(default %(default)s)")
    command.add_argument("--open-field", type=Path, default=OPEN_FIELD, help="DeepLabCut project (default %(default)s)")


def _report(options: argparse.Namespace) -> int:
    from training.truth.resume import run_steps, table_of

    table = table_of(run_steps(options.out, steps_of(options.out, options.profile, options.seed, options.open_field)))
    (options.out / "table.md").write_text(f"Profile {options.profile}, seed {options.seed}.\n\n{table}")
    print(table, end="")
    print(options.out / "table.md")
    return 0


def steps_of(out: Path, profile: str, seed: int, open_field: Path) -> list[Step]:
    """Return the steps: short is one seed and under an hour of CPU, full three seeds, more cages and all networks."""
    short = profile == "short"
    steps = []
    for one in (seed,) if short else (seed, seed + 1, seed + 2):
        run = out / f"model-{one}"
        same = ("--out", str(run), "--seed", str(one))
        size = () if short else ("--cages", "1500", "--age-steps", "8000", "--part-steps", "2500")
        steps.append(Step(f"model-{one}", ("demo-bundle", *same, *size)))
        unseen = () if short else ("--cages", "600", "--scene-cages", "156", "--interval-animals", "5000")
        reads = (run / "age.tflite", run / "age.json", run / "calibration.json")
        truth = ("truth", *same, *unseen, "--open-field", str(open_field))
        steps.append(Step(f"truth-{one}", truth, reads))
    run = out / f"model-{seed}"
    steps += _on_predictions(out, run, seed)
    steps.append(_step(out, "features", seed, ("fit", "--route", "features", "--run", str(run)), run / "age.tflite"))
    if not short:
        line = ("candidates", "--out", str(run), "--seed", str(seed), "--profile", "full")
        steps.append(Step("candidates", line, (run / "data.npz",)))
    if open_field.is_dir():
        effort = ("--folds", "2", "--profile", "short") if short else ("--profile", "long")
        steps.append(_step(out, "locator-folds", seed, ("locator-report", "--dlc", str(open_field), *effort)))
        less = ("--steps", "1200", "--centre-steps", "500") if short else ()
        steps.append(_step(out, "locator-open-field", seed, ("locator", "--dlc", str(open_field), *less)))
    return steps


def _on_predictions(out: Path, run: Path, seed: int) -> list[Step]:
    """Return what needs only the first model's predictions: studies, their size, what the gap goes with."""
    table = run / "predictions.csv"
    latents = ("truth_rate", "truth_greying", "truth_thinning", "truth_kyphosis", "truth_obesity")
    associate = ("associate", "--predictions", str(table), "--continuous", ",".join(latents))
    return [
        _step(out, "studies", seed, ("studies", "--report", str(run)), table),
        _step(out, "power", seed, ("power", "--report", str(run)), table),
        _step(out, "associate", seed, associate, table),
    ]


def _step(out: Path, name: str, seed: int, line: tuple[str, ...], *reads: Path) -> Step:
    """Return a step with a folder of its own."""
    return Step(name, (*line, "--out", str(out / name), "--seed", str(seed)), reads)
