"""A table of candidate networks, from which the age model is chosen: error, bytes and latency of each.

All are trained alike on a part of the training cages and scored, quantised, on the rest of them; calibration and test
animals are not touched.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from edge.vision.model.runtime import open_network
from training.age.data import AgeData, age_data
from training.age.finetune import Finetune, score, scores_of, train
from training.age.fit import Architecture, distributions, int8_embeddings, quantise_age
from training.crops.split import split_by_group
from training.networks.shapes import age_spec
from training.run import Run


@dataclass(frozen=True, slots=True)
class Profile:
    """Which networks (name, reduction) compete, and for how many steps."""

    networks: tuple[tuple[str, int], ...]
    steps: int


PROFILES = {
    "short": Profile((("plain-1", 4), ("plain-0.5", 2), ("plain-1", 2), ("mobilenet-0.35", 2)), 400),
    "full": Profile(
        (
            ("plain-0.5", 4),
            ("plain-1", 4),
            ("plain-2", 4),
            ("plain-0.5", 2),
            ("plain-1", 2),
            ("plain-2", 2),
            ("plain-0.5", 1),
            ("plain-1", 1),
            ("mobilenet-0.35", 2),
        ),
        1200,
    ),
}


def compare_candidates(run: Run, profile: Profile, steps: int | None = None, seed: int = 1) -> str:
    """Return the table (Markdown), kept with candidates.json in the run; finished candidates are not trained again."""
    from training.networks.int8 import import_backend

    data = age_data(run, seed)
    import_backend()
    training = data.where(split_by_group(data.group, seed).train)
    split = split_by_group(training.group, seed)
    inner, held = training.where(split.train | split.test), training.where(split.calibration)
    rows = []
    for name, reduce in profile.networks:
        settings = Finetune(steps=steps or profile.steps, architecture=Architecture(name, reduce))
        rows.append(_measured(run, inner, held, settings, seed))
    run.write_json("candidates.json", {"seed": seed, "candidates": rows})
    text = table(rows)
    run.write_bytes("candidates.md", text.encode())
    return text


def table(rows: list[dict[str, Any]]) -> str:
    """Return the candidates as a Markdown table, least CRPS first."""
    ordered = sorted(rows, key=lambda row: row["crps_days"])
    lines = [
        "| network | input px | CRPS days | MAE days | float32 | gap slope | kB | latency ms | CPU s to train |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in ordered:
        cells = (
            row["network"],
            row["input"],
            f"{row['crps_days']:.1f}",
            f"{row['mae_days']:.1f}",
            f"{row['mae_days_float32']:.1f}",
            f"{row['gap_slope']:.2f}",
            f"{row['bytes'] / 1000:.0f}",
            f"{row['latency_ms']:.2f}",
            f"{row['training_cpu_s']:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def latency_ms(content: bytes, shape: tuple[int, ...], rounds: int = 30) -> float:
    """Return the median wall time of one invocation on one thread of this machine, preprocessing not counted."""
    network = open_network(content, threads=1)
    crop = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    network.run_raw(crop)
    took = []
    for _ in range(rounds):
        begin = time.perf_counter()
        network.run_raw(crop)
        took.append(time.perf_counter() - begin)
    return float(np.median(took)) * 1000


def _measured(run: Run, inner: AgeData, held: AgeData, settings: Finetune, seed: int) -> dict[str, Any]:
    architecture, spec = settings.architecture, age_spec()
    name = f"candidates/{architecture.backbone}-reduce-{architecture.reduce}-steps-{settings.steps}-seed-{seed}.json"
    if run.has(name):
        return run.read_json(name)
    begin = time.process_time()
    network = train(inner, spec, settings, seed)
    took = time.process_time() - begin
    result = quantise_age(network, inner.crops, msgspec.structs.replace(spec, head=architecture.head))
    of_int8 = distributions(int8_embeddings(result.content, held.crops), result.spec)
    figures = scores_of(of_int8, held, result.spec)
    row = {
        "network": architecture.backbone,
        "reduce": architecture.reduce,
        "input": f"{spec.width // architecture.reduce} x {spec.height // architecture.reduce}",
        "steps": settings.steps,
        "seed": seed,
        **figures,
        "mae_days_float32": score(network, held, spec, architecture.head)["mae_days"],
        "bytes": len(result.content),
        "latency_ms": latency_ms(result.content, held.crops.shape[1:]),
        "training_cpu_s": took,
        "animals": len(np.unique(held.animal)),
    }
    run.write_json(name, row)
    return row
