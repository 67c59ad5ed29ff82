"""Material of made-up animals whose model is known: what it knows, hides and refuses is set by the test."""

from __future__ import annotations

import msgspec
import numpy as np
import pandas as pd

from edge.contract.manifest import Validity
from tests.training.small_animals import SPEC
from training.age.calibrate import fit_domain, fit_intervals
from training.age.predictions import predict, with_corrected_gap
from training.crops.table import complete
from training.report.material import Material
from training.run import Calibration

BINS = np.array(SPEC.bin_centres_days)
SIZE = SPEC.embedding_size


def ages(animals: int, each: int, seed: int = 1) -> np.ndarray:
    """Return ages (animals * each,), days."""
    return np.random.default_rng(seed).uniform(60, 900, animals * each)


def made_up(
    age_days: np.ndarray,
    animal: np.ndarray,
    looks_days: np.ndarray,
    *,
    sharp_days: float = 60.0,
    more: np.ndarray | None = None,
    **columns: object,
) -> Material:
    """Return readings (n,) whose int8 model sees `looks_days`, with sd `sharp_days`; 60% of animals train, 20% test.

    more (n, k): further numbers in the embedding, which the model's own head ignores. columns: of the table.
    """
    rng = np.random.default_rng(3)
    embeddings = rng.normal(0, 0.01, (len(age_days), SIZE)).astype(np.float32)
    scaled = (looks_days - 480) / 480
    embeddings[:, 0] = scaled
    if more is not None:
        embeddings[:, 1 : 1 + more.shape[1]] = more
    # softmax of -(bin - age)^2 / 2 sd^2 is linear in age: the head of a normal distribution.
    bins = (BINS - 480) / 480
    precision = (480 / sharp_days) ** 2
    weights = np.zeros((SIZE, len(bins)))
    weights[0] = bins * precision
    spec = msgspec.structs.replace(
        SPEC, head_weights=tuple(map(tuple, weights.tolist())), head_bias=tuple((-(bins**2) / 2 * precision).tolist())
    )
    side = np.array(["train", "train", "train", "calibration", "test"])[animal % 5]
    table = complete(pd.DataFrame({"subject": [f"m{one}" for one in animal], "age_days": age_days, **columns})).assign(
        animal=animal, group=animal, split=side
    )
    held = side != "train"
    calibrating = side == "calibration"
    limits = Validity(
        strains=("A",),
        min_age_days=0,
        max_age_days=1000,
        view="top",
        lights=("white",),
        max_sd_days=220,
        min_px_per_mm=4,
    )
    domain = fit_domain(embeddings[~held], embeddings[calibrating])
    intervals = fit_intervals(looks_days[calibrating], age_days[calibrating], animal[calibrating].astype(np.int32))
    estimated = predict(
        table[held].drop(columns=["animal", "group", "split"]),
        *(embeddings[held], embeddings[held], spec, domain, intervals, limits),
    )
    estimated.insert(0, "split", side[held])
    estimated = with_corrected_gap(estimated)
    test = estimated[estimated["split"] == "test"].reset_index(drop=True).assign(animal=animal[side == "test"])
    shade = np.clip(age_days / 5, 0, 255).astype(np.uint8)
    crops = np.broadcast_to(shade[:, None, None, None], (len(shade), 32, 48, 1)).copy()
    median = float(np.median(age_days[~held]))
    calibration = Calibration(intervals=intervals, domain=domain, validity=limits, training={})
    return Material(table, crops, embeddings, test, spec, calibration, b"", median, False, 1)
