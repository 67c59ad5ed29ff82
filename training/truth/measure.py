"""All figures that need the simulated truth, for one run's model: RUN/truth.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import AGE, Age
from edge.vision.estimate import interval_of
from training.age.calibrate import domain_scores
from training.run import AGE_SPEC, CALIBRATION, Calibration, Run
from training.simulated.foreign import IN_DOMAIN
from training.truth.coverage import coverage_of, measure_errors
from training.truth.domain import Judged, judge_scenes
from training.truth.oracle import Floats, by_day, draw_appearances, fit_oracle, paired_ratio
from training.truth.unseen import Readings, render_unseen

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is rendered and drawn. `cages` of the unseen set, two to three animals each; `scene_cages` give four
    foreign scenes and a good one each.
    """

    cages: int = 250
    scene_cages: int = 78
    oracle_animals: int = 24_000
    interval_animals: int = 2000


@dataclass(frozen=True, slots=True)
class Signed:
    """A bundle and the public key that it was signed for."""

    bundle: Path
    key: Path


def measure_truth(
    run: Run, signed: Signed, size: Size, *, open_field: Path | None = None, seed: int = 1, workers: int = 2
) -> Figures:
    """Return the figures of the run's int8 age model, and of its bundle on the device's path.

    Pictures are kept in RUN/truth and used again; the same seed gives the same numbers.

    Raises:
        OperatorError: the run has no quantised model or no bundle.
    """
    from training.age.fit import distributions, int8_embeddings

    content, spec = run.read_bytes(AGE), run.read_struct(AGE_SPEC, Age)
    calibration = run.read_struct(CALIBRATION, Calibration)
    readings = render_unseen(run.path("truth/unseen"), cages=size.cages, seed=seed, workers=workers)
    embeddings = int8_embeddings(content, readings.crops)
    predicted = distributions(embeddings, spec) @ np.array(spec.bin_centres_days)
    figures = _against_oracle(readings, predicted, size.oracle_animals, seed)
    figures |= _intervals(readings, predicted, calibration, size.interval_animals, seed)
    accepted = domain_scores(embeddings, calibration.domain) <= 1
    figures["domain_accepted_unseen"] = float(accepted[~readings.outside].mean())
    figures["domain_accepted_outside"] = float(accepted[readings.outside].mean())
    judged = judge_scenes(
        run.path("truth/foreign"),
        signed.bundle,
        signed.key,
        cages=size.scene_cages,
        seed=seed,
        open_field=open_field,
        workers=workers,
    )
    alone = domain_scores(int8_embeddings(content, judged.crops), calibration.domain) > 1
    path = judged.other | (domain_scores(int8_embeddings(content, judged.path_crops), calibration.domain) > 1)
    figures |= domain_figures(judged, alone, path)
    run.write_json("truth.json", {"seed": seed, **figures})
    return figures


def domain_figures(judged: Judged, alone: NDArray[np.bool_], path: NDArray[np.bool_]) -> Figures:
    """Return how many scenes were turned away, by the domain score `alone` (n,) and by the whole device path (n,)."""
    good = judged.kind == IN_DOMAIN
    found = {
        "foreign_scenes": float((~good).sum()),
        "foreign_turned_away_by_domain_score": float(alone[~good].mean()),
        "foreign_no_age_given": float(path[~good].mean()),
        "good_scenes": float(good.sum()),
        "good_accepted_by_domain_score": float(1 - alone[good].mean()),
        "good_age_given": float(1 - path[good].mean()),
    }
    for kind in sorted(set(judged.kind[~good].tolist())):
        rows = judged.kind == kind
        found[f"turned away: {kind}"] = float(alone[rows].mean())
        found[f"no age given: {kind}"] = float(path[rows].mean())
    return found


def _against_oracle(readings: Readings, predicted: Floats, animals: int, seed: int) -> Figures:
    """Return the model's error over the oracle's by animal-day, by reading, and for a part of the readings."""
    drawn = draw_appearances(animals, seed)
    exact = fit_oracle(*drawn, seed, exact=True).predict(readings.appearance, readings.white)
    best = fit_oracle(*drawn, seed).predict(readings.appearance, readings.white)
    found: Figures = {"oracle_training_animals": float(animals)}
    parts = {
        "": np.ones(len(predicted), np.bool_),
        "_inside": ~readings.outside,
        "_outside": readings.outside,
        "_white": readings.white,
        "_infrared": ~readings.white,
    }
    for name, rows in parts.items():
        if not rows.any():
            continue
        days = readings.day[rows]
        model, oracle, truth = (by_day(values[rows], days) for values in (predicted, best, readings.age_days))
        owner = by_day(readings.animal[rows].astype(np.float64), days).astype(np.int64)
        for key, value in paired_ratio(model, oracle, truth, owner, seed).items():
            found[f"day{name}_{key}"] = value
        if name == "":
            by_reading = paired_ratio(predicted, best, readings.age_days, readings.animal, seed)
            found |= {f"reading_{key}": value for key, value in by_reading.items()}
    found["reading_exact_oracle_mae_days"] = float(np.abs(exact - readings.age_days).mean())
    found["reading_constant_mae_days"] = float(np.abs(np.median(drawn[1]) - readings.age_days).mean())
    return found


def _intervals(readings: Readings, predicted: Floats, calibration: Calibration, animals: int, seed: int) -> Figures:
    """Return the coverage of drawn animals, and directly that of the bundle's own intervals on rendered ones."""
    rows = ~readings.outside
    model = measure_errors(
        predicted[rows], readings.appearance[rows], readings.white[rows], readings.animal[rows], readings.day[rows]
    )
    found = coverage_of(model, animals, seed)
    for entry in (one for one in calibration.intervals[:2] if one.bands):
        estimates, truth = predicted[rows], readings.age_days[rows]
        owner = readings.animal[rows]
        if entry.unit == "day":
            estimates, truth = by_day(estimates, readings.day[rows]), by_day(truth, readings.day[rows])
            owner = by_day(owner.astype(np.float64), readings.day[rows]).astype(np.int64)
        bounds = np.array([interval_of(float(value), entry) for value in estimates])
        inside = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
        shares = [inside[owner == animal].mean() for animal in np.unique(owner)]
        found[f"bundle_coverage_90_{entry.unit}_rendered"] = float(np.mean(shares))
    return found
