"""Regression to the mean: the gap raw and corrected, never mixed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.report.intervals import resampled
from training.report.material import Floats, Material
from training.report.plots import axes, png, scatter
from training.report.section import Picture, Section, absent, between, bracketed, number, weeks

KEY, TITLE = "regression_to_the_mean", "Do the young look too old and the old too young?"


def section(material: Material) -> Section:
    """Return the slopes of the raw and the corrected gap over age on the test animals."""
    predictions = material.predictions
    age, raw = predictions["age_days"].to_numpy(float), predictions["gap_days"].to_numpy(float)
    corrected = predictions["corrected_gap_days"].to_numpy(float)
    animals = predictions["animal"].to_numpy()
    if np.ptp(age) == 0:
        return absent(KEY, TITLE, "all test readings are of one age")
    figures: dict[str, dict[str, Any]] = {"raw": _slope(age, raw, animals, material.seed)}
    has_corrected = bool(np.isfinite(corrected).all())
    figures["corrected"] = (
        _slope(age, corrected, animals, material.seed)
        if has_corrected
        else {"missing": "the line needs at least 3 accepted calibration animals of different ages"}
    )
    low, high = np.quantile(age, [0.2, 0.8])
    ends = {"youngest": raw[age <= low].mean(), "oldest": raw[age >= high].mean()}
    slope = figures["raw"]["gap_slope"]
    return Section(
        KEY,
        TITLE,
        f"Raw gap slope {number(slope)}{bracketed(between(figures['raw']['gap_slope_95']))}: predicted minus true age "
        f"is {weeks(ends['youngest'])} weeks in the youngest fifth, {weeks(ends['oldest'])} in the oldest.",
        (
            "Raw gap: predicted minus true age. Corrected gap: the raw one less its straight line over age, fitted on "
            "the calibration animals. Both stand in predictions.csv in columns of their own.",
            "Accuracy is stated from raw predictions only: the correction needs the true age, and a model does not "
            "get better by being given the answer (PMC8357007, PMC9188975). Use the corrected gap to compare animals "
            "of different ages, with age as a covariate all the same.",
        ),
        {**figures, "bias_days_youngest_fifth": ends["youngest"], "bias_days_oldest_fifth": ends["oldest"]},
        pictures=(_picture(age, raw, corrected if has_corrected else None),),
    )


def _slope(age: Floats, gap: Floats, animals: NDArray[np.int_], seed: int) -> dict[str, Any]:
    def of(rows: NDArray[np.intp]) -> float:
        return float(np.polyfit(age[rows], gap[rows], 1)[0]) if np.ptp(age[rows]) > 0 else float("nan")

    return {"gap_slope": of(np.arange(len(age))), "gap_slope_95": resampled(animals, of, seed)}


def _picture(age: Floats, raw: Floats, corrected: Floats | None) -> Picture:
    kinds = [("raw gap, weeks", raw)] + ([("corrected gap, weeks", corrected)] if corrected is not None else [])
    figure, found = axes(len(kinds), 4.8, 3.8, sharey=True)
    for axis, (name, gap) in zip(found, kinds, strict=True):
        slope, level = np.polyfit(age / 7, gap / 7, 1)
        scatter(axis, age / 7, gap / 7, (slope, level))
        axis.axhline(0, color="#888888", lw=0.8, ls="--")
        axis.set(xlabel="true age, weeks", ylabel=name, title=f"slope {slope:.2f}")
    return Picture("The gap over true age: raw (what the device reports), and corrected.", png(figure))
