"""Calibration: is an age that is given 90% inside 90% of the time, and for every animal?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.few_units import in_words
from training.report.intervals import by_animal, effective_count, share_interval
from training.report.material import Floats, Material, age_band, bands_in_order
from training.report.plots import BLUE, GREY, RED, axes, bars, png
from training.report.section import Picture, Section, Table, absent, between, bracketed, percent, weeks

KEY, TITLE = "calibration", "Can its uncertainty be believed?"
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
PIT_BINS = 10


def section(material: Material) -> Section:
    """Return coverage and width of the 90% intervals, and the distribution's PIT, on the test readings."""
    predictions = material.predictions
    reliance = in_words(material.calibration.intervals)
    if predictions["low_90_days"].isna().all():
        return absent(KEY, TITLE, reliance.rstrip("."))
    age, animals = predictions["age_days"].to_numpy(float), predictions["animal"].to_numpy()
    covered = ((predictions["low_90_days"] <= age) & (age <= predictions["high_90_days"])).to_numpy()
    width = (predictions["high_90_days"] - predictions["low_90_days"]).to_numpy(float)
    weights = animal_weights(animals)
    pit = pit_of(material.probabilities, np.array(material.spec.bin_centres_days), age)
    whole = _covered(covered, width, animals)
    by_band = {}
    bands = {"true_age": age_band(age), "predicted_age": age_band(predictions["predicted_days"].to_numpy(float))}
    for kind, band in bands.items():
        order = [name for name in bands_in_order(np.arange(0, 1000, 10.0)) if (band == name).any()]
        by_band[kind] = {
            name: _covered(covered[band == name], width[band == name], animals[band == name]) for name in order
        }
    histogram = np.histogram(pit, PIT_BINS, (0, 1), weights=weights / weights.sum())[0]
    central = {f"{level:g}": float(np.average(np.abs(2 * pit - 1) <= level, weights=weights)) for level in LEVELS}
    ends = [100 * one for one in whole["coverage_90_95"]]
    off = whole["coverage_90_95"][1] < 0.9 or whole["coverage_90_95"][0] > 0.97
    figures = {"intervals": whole, "by_band": by_band, "pit_histogram": histogram, "central_coverage": central}
    pictures = (_distribution(histogram, central, pit, animals, material.seed), _by_band(by_band))
    return Section(
        KEY,
        TITLE,
        f"The 90% intervals hold {percent(whole['coverage_90'])} of an animal's readings"
        f"{bracketed(between(ends, 0, '%'))} and are {weeks(whole['width_90_days'])} "
        f"weeks wide on average. {reliance}",
        (
            "Coverage is averaged over animals, each counting once, for the animal is what is exchangeable. Intervals "
            "are looked up by the predicted age, the only one that a device knows; by true age they may cover less "
            "at the ends, where predictions lean to the middle. Its intervals are Wilson's, with as many readings "
            "as their dependence within animals leaves.",
            "PIT: where the true age falls in the model's own distribution (Dawid, 1984). Flat is calibrated, a bowl "
            "is too sure, a hill too unsure, a slope is bias. The intervals do not rest on it: they are conformal.",
        ),
        figures,
        _tables(by_band),
        pictures,
        beware="The intervals do not cover 90% within what chance allows." if off else "",
    )


def pit_of(probabilities: Floats, bins: Floats, age_days: Floats) -> Floats:
    """Return the probability (n,) below each true age, under distributions (n, bins) spread evenly over their bins."""
    middle = (bins[1:] + bins[:-1]) / 2
    edges = np.concatenate([[2 * bins[0] - middle[0]], middle, [2 * bins[-1] - middle[-1]]])
    below = np.concatenate([np.zeros((len(probabilities), 1)), np.cumsum(probabilities, axis=1)], axis=1)
    where = np.clip(np.searchsorted(edges, age_days, side="right") - 1, 0, len(bins) - 1)
    share = np.clip((age_days - edges[where]) / (edges[where + 1] - edges[where]), 0, 1)
    rows = np.arange(len(age_days))
    found: Floats = below[rows, where] + share * probabilities[rows, where]
    return np.clip(found, 0, 1)


def animal_weights(animals: NDArray[np.int_]) -> Floats:
    """Return weights (n,) under which each animal counts once."""
    _, where, counts = np.unique(animals, return_inverse=True, return_counts=True)
    weights: Floats = 1.0 / counts[where]
    return weights


def _covered(covered: NDArray[np.bool_], width: Floats, animals: NDArray[np.int_]) -> dict[str, Any]:
    weights = animal_weights(animals)
    share = float(np.average(covered, weights=weights))
    return {
        "animals": round(weights.sum()),
        "readings": len(covered),
        "coverage_90": share,
        "coverage_90_95": share_interval(share, effective_count(covered, animals)),
        "width_90_days": float(np.average(width, weights=weights)),
    }


def _tables(by_band: dict[str, Any]) -> tuple[Table, ...]:
    found = []
    for kind, levels in by_band.items():
        rows = tuple(
            (
                name,
                str(one["animals"]),
                percent(one["coverage_90"]),
                between([100 * end for end in one["coverage_90_95"]], 0),
                weeks(one["width_90_days"]),
            )
            for name, one in levels.items()
        )
        columns = (kind.replace("_", " "), "animals", "inside the 90% interval", "95%", "width, weeks")
        found.append(Table(columns, rows))
    return tuple(found)


def _distribution(
    histogram: Floats, central: dict[str, float], pit: Floats, animals: NDArray[np.int_], seed: int
) -> Picture:
    figure, (left, right) = axes(2, 4.6, 3.7)
    middles = (np.arange(PIT_BINS) + 0.5) / PIT_BINS
    left.bar(middles, histogram * PIT_BINS, 0.9 / PIT_BINS, color=BLUE, alpha=0.8)
    weights = animal_weights(animals)
    for number, at in enumerate(middles):
        inside = (np.minimum((pit * PIT_BINS).astype(int), PIT_BINS - 1) == number) * weights
        low, high = by_animal(animals, np.column_stack([inside, weights]), lambda s: s[:, 0] / s[:, 1], seed)
        left.plot([at, at], [low * PIT_BINS, high * PIT_BINS], color=RED, lw=1.4)
    left.axhline(1, color=GREY, ls="--", lw=0.8)
    left.set(xlabel="PIT of the true age", ylabel="density", title="distribution")
    right.plot([0, 1], [0, 1], color=GREY, ls="--", lw=0.8)
    right.plot([float(level) for level in central], list(central.values()), "o-", color=BLUE, ms=4)
    right.set(xlabel="stated", ylabel="observed", title="central intervals of the distribution")
    return Picture(
        "Left: PIT, 95% intervals by animal; flat is calibrated. Right: below the line is too sure.", png(figure)
    )


def _by_band(by_band: dict[str, Any]) -> Picture:
    figure, found = axes(2, 4.8, 0.3 * max(len(levels) for levels in by_band.values()) + 1.2)
    for axis, (kind, levels) in zip(found, by_band.items(), strict=True):
        values = np.array([one["coverage_90"] for one in levels.values()])
        ends = np.array([one["coverage_90_95"] for one in levels.values()]).reshape(-1, 2)
        bars(axis, list(levels), values, ends)
        axis.axvline(0.9, color=GREY, ls="--", lw=0.8)
        least = min(0.6, float(np.nanmin(np.append(ends, values))) - 0.05)
        axis.set(xlabel="inside the 90% interval", title=f"by {kind.replace('_', ' ')}", xlim=(least, 1.02))
    return Picture("Coverage of the 90% intervals by band, with 95% intervals by animal.", png(figure))
