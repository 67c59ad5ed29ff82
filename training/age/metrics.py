"""How good is the age model: the float and the int8 network on the same held-out animals, against always guessing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Age, Domain, Intervals
from edge.vision.estimate import interval_of
from training.age.calibrate import domain_scores
from training.age.fit import distributions
from training.losses.crps import crps

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Held-out readings with what int8 and float predicted; arrays of length n, days."""

    truth: Floats
    int8: Floats
    float32: Floats
    spread: Floats
    domain: Floats
    animals: NDArray[np.int32]
    white: NDArray[np.bool_]


def score(
    int8: NDArray[np.float32],
    float32: NDArray[np.float32],
    age_days: NDArray[np.float32],
    animals: NDArray[np.int32],
    white: NDArray[np.bool_],
    spec: Age,
    domain: Domain,
) -> Scored:
    """Return the predictions of both networks' embeddings (n, size) under the same head."""
    bins = np.array(spec.bin_centres_days)
    probabilities = distributions(int8, spec)
    predicted = probabilities @ bins
    return Scored(
        truth=age_days.astype(np.float64),
        int8=predicted,
        float32=distributions(float32, spec) @ bins,
        spread=spread_of(probabilities, bins),
        domain=domain_scores(int8, domain),
        animals=animals,
        white=white,
    )


def spread_of(probabilities: Floats, bins: Floats) -> Floats:
    """Return the standard deviation (n,), days, of distributions (n, bins)."""
    middle = probabilities @ bins
    found: Floats = np.sqrt(np.maximum(0, (probabilities * (bins - middle[:, None]) ** 2).sum(axis=1)))
    return found


def metrics_of(scored: Scored, train_median: float, intervals: tuple[Intervals, ...], bins: Floats) -> dict[str, float]:
    """Return the figures of the report; ages in days, ratios against always guessing the training median.

    A figure that the data do not allow (a band without animals, a correlation of a constant) is left out.
    """
    errors = np.abs(scored.int8 - scored.truth)
    constant = np.abs(train_median - scored.truth)
    reading = next(entry for entry in intervals if entry.unit == "reading")
    bounds = np.array([interval_of(float(age), reading) for age in scored.int8])
    covered = np.where(np.isnan(bounds[:, 0]), np.nan, (bounds[:, 0] <= scored.truth) & (scored.truth <= bounds[:, 1]))
    per_animal = [covered[scored.animals == animal].mean() for animal in np.unique(scored.animals)]
    gap = scored.int8 - scored.truth
    found = {
        "test_animals": float(len(np.unique(scored.animals))),
        "test_readings": float(len(errors)),
        "mae_days": float(errors.mean()),
        "rmse_days": float(np.sqrt((gap**2).mean())),
        "mae_days_float32": float(np.abs(scored.float32 - scored.truth).mean()),
        "mae_days_constant": float(constant.mean()),
        "mae_ratio": float(errors.mean() / constant.mean()),
        "mae_ratio_white": _ratio(errors, constant, scored.white),
        "mae_ratio_infrared": _ratio(errors, constant, ~scored.white),
        "int8_bias_days": float((scored.int8 - scored.float32).mean()),
        "int8_difference_days": float(np.abs(scored.int8 - scored.float32).mean()),
        "rank_correlation_int8_float32": _correlation(_ranks(scored.int8), _ranks(scored.float32)),
        "r": _correlation(scored.int8, scored.truth),
        "r2": float(1 - (gap**2).mean() / scored.truth.var()),
        "gap_slope": float(np.polyfit(scored.truth, gap, 1)[0]),
        "coverage_90": float(covered.mean()),
        "coverage_90_by_animal": float(np.mean(per_animal)),
        "width_90_days": float((bounds[:, 1] - bounds[:, 0]).mean()),
        "in_domain": float((scored.domain <= 1).mean()),
    }
    for low, high in ((0, 240), (240, 480), (480, 2000)):
        inside = (scored.truth >= low) & (scored.truth < high)
        found[f"mae_days_{low}_{high}"] = float(errors[inside].mean()) if inside.any() else float("nan")
    return finite(found)


def finite(figures: dict[str, float]) -> dict[str, float]:
    """Return the figures that are numbers: JSON knows no NaN, and a bundle's manifest allows none."""
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def mean_crps(embeddings: NDArray[np.float32], age_days: NDArray[np.float32], spec: Age) -> float:
    """Return the mean CRPS, days."""
    bins = np.array(spec.bin_centres_days)
    return float(crps(distributions(embeddings, spec), bins, age_days.astype(np.float64)).mean())


def contact_sheet(path: Path, crops: NDArray[np.uint8], scored: Scored, each: int = 5) -> None:
    """Write a PNG: rows of the best, the typical and the worst held-out crops, with truth and prediction in weeks."""
    from PIL import Image, ImageDraw

    errors = np.abs(scored.int8 - scored.truth)
    order = np.argsort(errors)
    middle = len(order) // 2
    rows = (("best", order[:each]), ("typical", order[middle : middle + each]), ("worst", order[::-1][:each]))
    height, width = crops.shape[1:3]
    sheet = Image.new("L", (each * width, len(rows) * (height + 18)), 255)
    pen = ImageDraw.Draw(sheet)
    for line, (name, chosen) in enumerate(rows):
        for column, index in enumerate(chosen):
            x, y = column * width, line * (height + 18)
            text = f"{name}: is {scored.truth[index] / 7:.0f} wk, looks {scored.int8[index] / 7:.0f} wk"
            pen.text((x + 4, y + 3), text, fill=0)
            sheet.paste(Image.fromarray(crops[index, :, :, 0]), (x, y + 18))
    sheet.save(path)


def _ratio(errors: Floats, constant: Floats, mask: NDArray[np.bool_]) -> float:
    return float(errors[mask].mean() / constant[mask].mean()) if mask.any() else float("nan")


def _correlation(first: Floats, second: Floats) -> float:
    if first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Floats) -> Floats:
    ranks: Floats = values.argsort().argsort().astype(np.float64)
    return ranks
