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
    seeds = (seed,) if short else (seed, seed + 1, seed + 2)
    steps = []
    for one in seeds:
        run = out / f"model-{one}"
        same = ("--out", str(run), "--seed", str(one))
        size = () if short else ("--cages", "1500", "--age-steps", "8000", "--part-steps", "2500")
        steps.append(Step(f"model-{one}", ("demo-bundle", *same, *size)))
        unseen = () if short else ("--cages", "600", "--scene-cages", "156", "--interval-animals", "5000")
        reads = (run / "age.tflite", run / "age.json", run / "calibration.json")
        truth = ("truth", *same, *unseen, "--open-field", str(open_field))
        steps.append(Step(f"truth-{one}", truth, reads))
    if not short:
        run = out / f"model-{seed}"
        line = ("candidates", "--out", str(run), "--seed", str(seed), "--profile", "full")
        steps.append(Step("candidates", line, (run / "data.npz",)))
    if open_field.is_dir():
        effort = ("--steps", "1200", "--centre-steps", "500") if short else ()
        line = ("locator", "--dlc", str(open_field), "--out", str(out / "open-field"), "--seed", str(seed), *effort)
        steps.append(Step("locator-open-field", line))
    return steps
