"""Age as a covariate: a natural cubic spline whose knots are fixed before any outcome is looked at.

A straight line is not enough. Where the gap levels off in mid-life and a phenotype rises ever faster with age, what the
line leaves over of both goes together, and null phenotypes come out significant (docs/associations.md has the figures).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
AgeTerm = Literal["spline", "linear"]
TERMS: tuple[AgeTerm, ...] = ("spline", "linear")
QUANTILES = ((100, (0.05, 0.275, 0.5, 0.725, 0.95)), (30, (0.05, 0.35, 0.65, 0.95)), (10, (0.1, 0.5, 0.9)))
"""From so many animals (or cages, where they are the unit) on, knots at these quantiles of age (Harrell, 2015)."""
LEAST_GAP = 0.02
"""Knots that are nearer than this share of the range of ages count as one: they would fit the scatter in a group."""


def age_knots(age_days: Floats, units: int, term: AgeTerm = "spline") -> Floats:
    """Return the knots, days, float64 (3 to 5,); none where age enters as a straight line.

    That is so with `linear`, with fewer than 10 units, and where there are no more than two ages to tell apart.
    """
    quantiles = next((found for least, found in QUANTILES if units >= least), None)
    if term == "linear" or quantiles is None or not np.ptp(age_days) > 0:
        return np.empty(0)
    # Where most animals are of one age the quantiles of the ages fall together: those of the different ages do not.
    for ages in (age_days, np.unique(np.round(age_days))):
        knots = _apart(np.quantile(ages, quantiles), LEAST_GAP * float(np.ptp(age_days)))
        if len(knots) >= 3:
            return knots
    return np.empty(0)


def age_columns(age_days: Floats, knots: Floats) -> Floats:
    """Return the covariates, float64 (n, 1 + curves): age less its mean, days, then the spline's curved part.

    The curved columns have SD 1 and are orthogonal to the line and to each other, so that no model is ill-conditioned.
    The spline is Harrell's restricted one: cubic between the knots, straight beyond the outermost.
    """
    line: Floats = age_days - age_days.mean()
    found = [line]
    if not len(knots):
        return line[:, None]
    scale = float(np.ptp(knots))
    age, knots = (age_days - knots[0]) / scale, (knots - knots[0]) / scale
    basis = [np.ones_like(line), line]
    last, before = knots[-1], knots[-2]
    for knot in knots[:-2]:
        curve = _cube(age - knot) + (_cube(age - last) * (before - knot) - _cube(age - before) * (last - knot)) / (
            last - before
        )
        left = curve
        for _ in range(2):  # once more, as rounding leaves some of the line in what is nearly straight
            fit = np.column_stack(basis)
            left = left - fit @ np.linalg.lstsq(fit, left, rcond=None)[0]
        if left.std() > 1e-6 * curve.std():
            found.append(left / left.std())
            basis.append(left / left.std())
    return np.column_stack(found)


def in_words(knots: Floats, term: AgeTerm) -> str:
    """Return how age enters the models, as a sentence of the report."""
    if len(knots):
        places = ", ".join(f"{knot:.0f}" for knot in knots)
        return (
            f"Age enters every model as a natural cubic spline with {len(knots)} knots at quantiles of age, which the "
            f"number of animals alone decides (of all animals: {places} days). A straight line would call null "
            "phenotypes significant wherever gap and phenotype both bend with age."
        )
    if term == "linear":
        return "Age enters every model as a straight line, as --age-term linear asked for."
    return "Age enters every model as a straight line: a curve needs 10 animals or more, of more than two ages."


def _cube(values: Floats) -> Floats:
    above: Floats = np.maximum(values, 0.0) ** 3
    return above


def _apart(knots: Floats, least: float) -> Floats:
    kept = [float(knots[0])]
    for knot in knots[1:]:
        if knot - kept[-1] >= least:
            kept.append(float(knot))
    return np.array(kept)
