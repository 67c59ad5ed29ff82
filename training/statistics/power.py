"""How many animals and readings a study needs to see a change of the ageing rate, from test-retest figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from edge.errors import OperatorError
from training.statistics.day_correlation import widening
from training.statistics.errors import ErrorModel
from training.statistics.slopes import ratio
from training.statistics.studies import Design, simulate

READINGS = (4, 8, 12, 24, 52)
MOST_ANIMALS = 2000
SENSITIVITY = (0.0, 0.3, 0.5, 0.7, 0.9)
"""Correlations of neighbouring reading days for which the animals needed are shown."""


def from_figures(sem: float, icc: float, rate_sd: float, shrinkage: float) -> ErrorModel:
    """Return the error model of figures that somebody else measured.

    sem: standard deviation, days, of an animal's repeated animal-days. icc: share of the variance of the gap, at given
    age, that is the animal's. rate_sd: of animals' slopes. shrinkage: days of predicted age a day of true age.
    """
    ages = np.array([0.0, 1000.0])
    animal = sem * float(np.sqrt(icc / (1 - icc)))
    pool = np.random.default_rng(41).normal(size=20_000)
    return ErrorModel(ages, 400 + shrinkage * (ages - 500), animal, rate_sd, 0.0, sem, pool, 0, 0, False)


def power(errors: ErrorModel, design: Design, change: float) -> float:
    """Return the power of the two-sided 5% test of slope ratio 1 (noncentral t), treated ageing 1 - change as fast."""
    readings = max(2.0, design.readings * (1 - design.missed))
    times = np.linspace(design.first_days, design.last_days, 1001)
    sxx = readings * float(np.var(times)) * (design.readings + 1) / (design.readings - 1)
    # Who leaves after a share u of the study has u^3 of the sum of squares; an animal's weight is 1 / variance.
    left = np.concatenate([np.full(400, 1.0), np.linspace(0, 1, 402)[1:-1]]) ** 3
    share = np.repeat([1 - design.dropout, design.dropout], 400) / 400
    pictures = max(1, design.readings_a_day) if errors.days_separable else 1
    noise = errors.day_sd**2 + errors.reading_sd**2 / pictures
    noise *= widening(design.readings, design.correlation(errors))
    shrunk = errors.slope(design.first_days, design.last_days)
    units = design.animals / (design.per_cage if design.cage_unit else 1)
    if units < 2:
        return 0.0

    def variance(rate: float) -> float:
        animal = 1 / float((share / ((errors.rate_sd * rate) ** 2 + noise / (sxx * left))).sum())
        cage = (shrunk * design.cage_rate_sd) ** 2
        return (animal + cage * (design.per_cage if design.cage_unit else 1)) / design.animals

    shift = shrunk * change / np.sqrt(variance(1.0) + variance(1.0 - change))
    freedom = 2 * units - 2
    edge = stats.t.ppf(0.975, freedom)
    if shift > 8:  # scipy's noncentral t fails far out, where the power is 1 to eight digits anyway
        return 1.0
    return float(stats.nct.sf(edge, freedom, shift) + stats.nct.cdf(-edge, freedom, shift))


def animals_needed(errors: ErrorModel, design: Design, change: float, wanted: float) -> int | None:
    """Return the fewest animals an arm with that power, in whole cages; None where MOST_ANIMALS do not suffice."""
    step = design.per_cage

    def enough(cages: int) -> bool:
        return power(errors, replace(design, animals=cages * step), change) >= wanted

    low, high = 1, MOST_ANIMALS // step
    if not enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high * step


def simulated_power(errors: ErrorModel, design: Design, change: float, studies: int, seed: int) -> float:
    """Return the share of simulated studies whose test finds the change (Monte Carlo error 1.3 points at 1,000)."""
    found = ratio(*simulate(errors, design, 1.0 - change, studies, seed))
    return float(np.mean(found.p < 0.05))


def plan_study(
    out: Path, errors: ErrorModel, design: Design, change: float, wanted: float, studies: int, seed: int
) -> dict[str, Any]:
    """Write power.csv, power.png and power.json; return what stands in the last.

    Raises:
        OperatorError: the change cannot be seen with any number of readings.
    """
    rows = []
    for readings in sorted({*READINGS, design.readings}):
        trial = replace(design, readings=readings)
        need = animals_needed(errors, trial, change, wanted)
        row: dict[str, Any] = {"readings": readings, "animals_per_arm": need, "power": None, "power_simulated": None}
        if need is not None:
            full = replace(trial, animals=need)
            row |= {"power": power(errors, full, change)}
            if readings == design.readings and studies:
                row["power_simulated"] = simulated_power(errors, full, change, studies, seed)
        rows.append(row)
    chosen = next(row for row in rows if row["readings"] == design.readings)
    if all(row["animals_per_arm"] is None for row in rows):
        raise OperatorError(
            f"power: {MOST_ANIMALS} animals an arm do not show a change of {change:g} between ages "
            f"{design.first_days:g} and {design.last_days:g} days; "
            "watch them for longer, or over ages at which looks change more"
        )
    out.mkdir(parents=True, exist_ok=True)
    figures = {
        "change": change,
        "power_wanted": wanted,
        "animals_per_arm": chosen["animals_per_arm"],
        "readings": design.readings,
        "power_simulated": chosen["power_simulated"],
        "slope_of_looks": errors.slope(design.first_days, design.last_days),
        "slope_by_age": slope_by_age(errors) if errors.animals else {},
        "errors": errors.figures(),
        "day_correlation": design.correlation(errors),
        "day_correlation_from": _source(errors, design),
        "sensitivity": {
            f"{r:g}": animals_needed(errors, replace(design, day_correlation=r), change, wanted) for r in SENSITIVITY
        },
        "table": rows,
    }
    pd.DataFrame(rows).to_csv(out / "power.csv", index=False)
    (out / "power.json").write_text(json.dumps(figures, indent=1, default=float) + "\n")
    _draw(out / "power.png", errors, design, change, wanted, rows)
    return figures


def _source(errors: ErrorModel, design: Design) -> str:
    """Return where the correlation of days comes from."""
    if design.day_correlation is not None:
        return "as asked"
    return "measured on the repeated readings" if errors.animals else "assumed: no readings were given"


def slope_by_age(errors: ErrorModel) -> dict[str, float]:
    """Return the slope of looks between neighbouring age bands: where it is small, looks stand still."""
    middles = np.diff(errors.curve) / np.diff(errors.knots)
    return {f"{a:.0f}-{b:.0f} days": float(m) for a, b, m in zip(errors.knots, errors.knots[1:], middles, strict=False)}


def _draw(
    path: Path, errors: ErrorModel, design: Design, change: float, wanted: float, rows: list[dict[str, Any]]
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), dpi=130)
    axis = figure.subplots()
    most = max((row["animals_per_arm"] or 0) for row in rows)
    counts = np.unique(np.linspace(3, min(MOST_ANIMALS, 1.4 * most), 60).astype(int) // design.per_cage + 1)
    shades = np.linspace(0.25, 1.0, len(rows))
    for row, shade in zip(rows, shades, strict=True):
        trial = replace(design, readings=row["readings"])
        values = [power(errors, replace(trial, animals=int(n) * design.per_cage), change) for n in counts]
        axis.plot(counts * design.per_cage, values, color="#1b3a5b", alpha=shade, label=f"{row['readings']} days")
        if row["power_simulated"] is not None:
            axis.plot(row["animals_per_arm"], row["power_simulated"], "o", color="#c0562f", label="simulated")
    axis.axhline(wanted, color="#666666", lw=0.8, ls="--")
    axis.set(xlabel="animals an arm", ylabel="power", ylim=(0, 1.02))
    axis.set_title(
        f"Ageing rate changed by {change:.0%}, read between {design.first_days / 7:.0f} and "
        f"{design.last_days / 7:.0f} weeks of age",
        fontsize=10,
    )
    axis.legend(frameon=False, title="days with a reading", fontsize=8)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
