"""Does the head give proper numbers: for the golden inputs, and wherever an int8 embedding can lie.

A head whose weights overflow answers NaN for some embeddings only. Its outputs are linear in the embedding, so each of
them is largest and smallest at a corner of the int8 cube; the same holds for a row of the whitening and the direction
of outliers. What is finite at these corners is finite between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract.base import Struct
from edge.contract.reading import Estimate
from edge.vision.estimate import estimate_age
from edge.vision.model.loaded import LoadedModel

AGE_TOLERANCE_DAYS = 0.5
SCORE_TOLERANCE = 0.02
"""Relative above 1, absolute below. Head and score are float32 sums of the same numbers on every machine."""
_LOWEST, _HIGHEST = -128, 127
_MOST_ROWS = 64
_RANDOM_CORNERS = 32
_FIELDS = ("age_days", "sd_days", "interval_low_days", "interval_high_days")
Number = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]
Embedding = NDArray[np.float32]


class GoldenEstimate(Struct, frozen=True, kw_only=True):
    """What the head makes of one golden output of the age network; see `edge.contract.reading.Estimate`."""

    age_days: Number
    sd_days: Number
    interval_low_days: Number | None
    interval_high_days: Number | None
    domain_score: Annotated[float, msgspec.Meta(ge=0.0, le=1e12)]


def golden_estimate(embedding: Embedding, model: LoadedModel) -> GoldenEstimate:
    """Return what the head makes of an embedding (embedding_size,)."""
    found = estimate_age(embedding, model)
    return GoldenEstimate(domain_score=found.domain_score, **{name: getattr(found, name) for name in _FIELDS})


def dequantised(raw: Sequence[int] | NDArray[Any], model: LoadedModel) -> Embedding:
    """Return the embedding, float32 (embedding_size,), that the age network's int8 outputs stand for."""
    output = model.manifest.age.output
    return (np.array(raw, np.float32) - np.float32(output.zero_point)) * np.float32(output.scale)


def check_head(
    model: LoadedModel,
    golden: Sequence[Sequence[int]],
    stated: Sequence[GoldenEstimate],
    found: Sequence[NDArray[Any]] = (),
) -> list[str]:
    """Return one sentence for each golden output whose estimate is improper or differs; the first improper extreme.

    golden: expected int8 outputs of the age network. stated: what the head must make of them, or nothing. found: the
    outputs that the network gave here.
    """
    failures = []
    for number, raw in enumerate(golden):
        estimate, wrong = _try(dequantised(raw, model), model)
        if wrong is None and estimate is not None and stated:
            wrong = _difference(estimate, stated[number])
        if wrong is not None:
            failures.append(f"head: golden input {number}: {wrong}")
    for what, embeddings in (
        ("this machine's answer to golden input", [dequantised(raw, model) for raw in found]),
        ("int8 extreme", extremes(model)),
    ):
        wrongs = ((number, _try(one, model)[1]) for number, one in enumerate(embeddings))
        failures += [f"head: {what} {number}: {wrong}" for number, wrong in wrongs if wrong is not None][:1]
    return failures


def extremes(model: LoadedModel) -> list[Embedding]:
    """Return embeddings (embedding_size,) at corners of the int8 cube: where each linear output is largest, smallest.

    Besides them all lowest, all highest, and some corners drawn at random.
    """
    size = model.manifest.age.embedding_size
    heaviest = np.argsort(-np.linalg.norm(model.domain_whitening.astype(np.float64), axis=1))[:_MOST_ROWS]
    directions = [*model.head_weights.T, *model.domain_whitening[heaviest], np.ones(size, np.float32)]
    if model.foreign_weights.size:
        directions.append(model.foreign_weights)
    directions += list(np.random.default_rng(0).normal(size=(_RANDOM_CORNERS, size)))
    return [
        dequantised(np.where(sign * direction > 0, _HIGHEST, _LOWEST), model)
        for direction in directions
        for sign in (1, -1)
    ]


def improper(estimate: Estimate, model: LoadedModel) -> str | None:
    """Return what is no proper number in an estimate, None where all of it is one."""
    numbers = {name: getattr(estimate, name) for name in (*_FIELDS, "domain_score")}
    for name, value in numbers.items():
        if value is not None and not math.isfinite(value):
            return f"{name}: expected a finite number, got {value}"
    shares = np.array(estimate.distribution)
    if not np.isfinite(shares).all() or shares.min() < 0 or abs(float(shares.sum()) - 1) > 1e-2:
        return f"distribution: expected probabilities that sum to 1, got a sum of {float(shares.sum()):g}"
    first, last = float(model.bin_centres[0]), float(model.bin_centres[-1])
    if not first - 0.1 <= estimate.age_days <= last + 0.1:
        return f"age_days: expected {first:g} to {last:g}, the bundle's bins, got {estimate.age_days:g}"
    low, high = estimate.interval_low_days, estimate.interval_high_days
    if low is not None and high is not None and not low <= estimate.age_days <= high:
        return f"interval: expected one around {estimate.age_days:g} days, got {low:g} to {high:g}"
    if estimate.sd_days < 0 or estimate.domain_score < 0:
        return f"expected no negative spread or score, got {estimate.sd_days:g} and {estimate.domain_score:g}"
    return None


def _try(embedding: Embedding, model: LoadedModel) -> tuple[Estimate | None, str | None]:
    with np.errstate(all="ignore"):  # what overflows is found in the numbers
        try:
            estimate = estimate_age(embedding, model)
        except (ArithmeticError, ValueError, IndexError) as error:
            return None, f"expected an estimate, got {type(error).__name__}: {error}"
    return estimate, improper(estimate, model)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _difference(found: Estimate, right: GoldenEstimate) -> str | None:
    for name in _FIELDS:
        is_, wanted = getattr(found, name), getattr(right, name)
        if is_ is None and wanted is None:
            continue
        if is_ is None or wanted is None or abs(is_ - wanted) > AGE_TOLERANCE_DAYS:
            return f"{name}: expected {_number(wanted)}, got {_number(is_)}"
    if abs(found.domain_score - right.domain_score) > SCORE_TOLERANCE * max(1.0, right.domain_score):
        return f"domain_score: expected {right.domain_score:g}, got {found.domain_score:g}"
    return None
