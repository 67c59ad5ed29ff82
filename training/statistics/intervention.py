"""What a treatment does to the rate of ageing, from real readings: the slope ratio by arm, and what to beware of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from edge.errors import OperatorError
from training.statistics.cohort import Cohort, arms
from training.statistics.slopes import Slopes, animal_slopes, arm, bootstrap_ratio, by_unit, ratio
from training.statistics.table import as_labels

Floats = NDArray[np.float64]
FEW_UNITS = 6


def intervene(cohort: Cohort, treatment: str, control: str | None, seed: int = 1) -> list[dict[str, Any]]:
    """Return for each treated arm the ratio of within-animal slopes of predicted age to the control's.

    `ratio`, `low`, `high` (95%, Fieller; None where unbounded), `p` of ratio = 1, `bootstrap_low`, `bootstrap_high`,
    the slopes, units and readings of both arms, `unit` (animal, or cage where arms were given to whole shared cages),
    `warnings`.

    Raises:
        OperatorError: the control arm is not clear, or an arm has fewer than three units with two readings.
    """
    reference, others = arms(cohort, treatment, control)
    given = cohort.animals.drop_duplicates("subject").set_index("subject")
    cages = given["cage"]
    by_cage = (
        cages.ne("").all()
        and cages.nunique() < len(cages)
        and bool((given.groupby("cage")[treatment].nunique() <= 1).all())
    )
    rng = np.random.default_rng([seed, 37])
    base, base_rows = _arm(cohort, given, treatment, reference, by_cage)
    found = []
    for other in others:
        treated, rows = _arm(cohort, given, treatment, other, by_cage)
        one, two = arm(treated), arm(base)
        result = ratio(one, two)
        low, high = bootstrap_ratio(treated, base, rng)
        remarks = _warnings(rows, base_rows, result.low, one.units, two.units, cohort, treatment, (other, reference))
        if by_cage:
            remarks.insert(0, "arms were given to whole cages: the cage is the unit")
        bounded = bool(np.isfinite(result.low))
        found.append(
            {
                "treated": other,
                "control": reference,
                "cohort": cohort.name,
                "ratio": float(result.ratio),
                "low": float(result.low) if bounded else None,
                "high": float(result.high) if bounded else None,
                "p": float(result.p),
                "bootstrap_low": low,
                "bootstrap_high": high,
                "slope_treated": float(one.mean),
                "slope_control": float(two.mean),
                "units_treated": int(one.units),
                "units_control": int(two.units),
                "unit": "cage" if by_cage else "animal",
                "readings": len(rows) + len(base_rows),
                "warnings": remarks,
            }
        )
    return found


def matrices(readings: pd.DataFrame) -> tuple[Floats, Floats, list[str]]:
    """Return ages and predictions (animals, most readings), padded with NaN, and the animals' names."""
    groups = list(readings.groupby("subject", sort=True))
    most = max(len(rows) for _, rows in groups)
    times, values = np.full((2, len(groups), most), np.nan)
    for number, (_, rows) in enumerate(groups):
        times[number, : len(rows)], values[number, : len(rows)] = rows["age_days"], rows["predicted_days"]
    return times, values, [str(name) for name, _ in groups]


def _arm(cohort: Cohort, given: pd.DataFrame, treatment: str, name: str, by_cage: bool) -> tuple[Slopes, pd.DataFrame]:
    members = given.index[as_labels(given[treatment]) == name]
    rows = cohort.readings[cohort.readings["subject"].isin(members)]
    # Readings of one day share that day's error: they count as one.
    day = rows["age_days"].round()
    rows = rows.groupby(["subject", day.rename("day")])[["age_days", "predicted_days"]].mean().reset_index()
    if rows.empty:
        raise OperatorError(f"{cohort.source}: column {treatment}: arm {name} has no readings")
    times, values, names = matrices(rows)
    slopes = animal_slopes(times, values)
    if by_cage:
        slopes = by_unit(slopes, pd.factorize(given.loc[names, "cage"])[0])
    usable = np.isfinite(slopes.slope)
    if usable.sum() < 3:
        raise OperatorError(
            f"{cohort.source}: column {treatment}: arm {name}: expected at least 3 animals (or cages) with readings "
            f"on two days, got {int(usable.sum())}"
        )
    parts = (slopes.slope, slopes.sxx, slopes.residual, slopes.freedom)
    return Slopes(*(part[usable] for part in parts)), rows


def _warnings(
    treated: pd.DataFrame,
    control: pd.DataFrame,
    low: Floats,
    units: Floats,
    base_units: Floats,
    cohort: Cohort,
    treatment: str,
    names: tuple[str, str],
) -> list[str]:
    remarks = []
    if not np.isfinite(low):
        remarks.append("the control's slope is not clearly above nothing, so that the ratio has no bounded interval")
    if min(float(units), float(base_units)) < FEW_UNITS:
        remarks.append(f"few units: {int(units)} treated, {int(base_units)} control")
    difference = abs(treated["age_days"].mean() - control["age_days"].mean())
    if difference > 0.1 * control["age_days"].std():
        remarks.append(
            f"the arms were read at different ages (means {difference:.0f} days apart): where looks change unevenly "
            "with age, this alone makes slopes differ"
        )
    bend = _bend(control)
    if bend is not None:
        remarks.append(
            f"looks change unevenly with age (control slope {bend[0]:.2f} in the younger, {bend[1]:.2f} in the older "
            "half): the ratio is then off by some hundredths; narrower ages help"
        )
    days = [rows.groupby("subject").size().mean() for rows in (treated, control)]
    if abs(np.log(days[0] / days[1])) > np.log(1.25):
        remarks.append(
            f"animal-days with an accepted reading differ: {days[0]:.1f} an animal in {names[0]}, {days[1]:.1f} in "
            f"{names[1]}; abstention and dropout may belong to the treatment"
        )
    return remarks


def _bend(control: pd.DataFrame) -> tuple[float, float] | None:
    """Return the control's slopes in the younger and the older half of ages where they clearly differ."""
    middle = control["age_days"].median()
    halves = []
    for rows in (control[control["age_days"] <= middle], control[control["age_days"] > middle]):
        times, values, _ = matrices(rows)
        halves.append(arm(animal_slopes(times, values)))
    first, second = halves
    variance = float(first.variance + second.variance)
    if not variance > 0 or min(first.units, second.units) < 3:
        return None
    statistic = float(first.mean - second.mean) / np.sqrt(variance)
    ratio_of = float(second.mean / first.mean)
    if 2 * stats.norm.sf(abs(statistic)) < 0.05 and not 0.8 < ratio_of < 1.25:
        return float(first.mean), float(second.mean)
    return None
