"""Error by age band, sex, strain, camera, light and site."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from training.report.intervals import by_animal
from training.report.material import Material, age_band, bands_in_order
from training.report.plots import axes, bars, png
from training.report.section import Picture, Section, Table, between, bracketed, counted, number, weeks, weeks_between

KEY, TITLE = "error_by_group", "How large is the error, and for whom?"
FACTORS = ("age band", "sex", "strain", "camera", "light", "site")
MOST_SHOWN = 12
FEW = 20
UNKNOWN = "not given"
_COLUMNS = ("", "animals", "readings", "MAE, weeks", "95%", "MAE / constant", "95%", "bias, weeks", "95%")


def section(material: Material) -> Section:
    """Return the errors of the test readings, all together and level by level."""
    predictions = with_errors(material.predictions, material.median_days)
    whole = level_figures(predictions, material.seed)
    figures: dict[str, Any] = {"all": whole}
    tables = [_table("all test animals", {"all": whole}, {})]
    spread: dict[str, float] = {}
    for factor in FACTORS:
        levels = _levels(predictions, factor)
        found = {
            name: level_figures(predictions[levels == name], material.seed)
            for name in _order(predictions, levels, factor)
        }
        test = difference_p(predictions, levels) if len(found) > 1 and factor != "age band" else float("nan")
        if np.isfinite(test):
            spread[factor] = test
        figures[factor.replace(" ", "_")] = {"levels": found, "p_no_difference_of_bias": test}
        tables.append(_table(factor, found, spread))
    differing = [name for name, p in spread.items() if p < 0.05 / max(1, len(spread))]
    return Section(
        KEY,
        TITLE,
        f"{weeks(whole['mae_days'])} weeks on average{bracketed(weeks_between(whole['mae_days_95']))}, "
        f"{number(whole['mae_ratio'])} of what always guessing the training median gives"
        f"{bracketed(between(whole['mae_ratio_95']))}, on {counted(whole['animals'], 'animal')} that the model "
        "never saw.",
        (
            "Readings count alike; intervals are bootstrapped by animal (95%), none below 5 animals. Bias is predicted "
            "minus true age. The constant is the median age of the training readings: about that age it is nearly "
            "right, so that a ratio above 1 in a middle band is no fault.",
            "p: that the bias does not differ between the levels, from one mean gap an animal freed of its line on age "
            "(Kruskal and Wallis, 1952). Levels are compared one factor at a time: what goes together in the design is "
            "not taken apart.",
        ),
        figures,
        tuple(tables),
        (_picture(figures),),
        beware=_beware(whole["animals"], differing, len(spread)),
    )


def with_errors(predictions: pd.DataFrame, median_days: float) -> pd.DataFrame:
    """Return the predictions with error_days, constant_days (the constant guess's error) and age_band."""
    age = predictions["age_days"].to_numpy(float)
    return predictions.assign(
        error_days=predictions["gap_days"].abs(), constant_days=np.abs(median_days - age), age_band=age_band(age)
    )


def level_figures(predictions: pd.DataFrame, seed: int = 1) -> dict[str, Any]:
    """Return n, MAE, MAE / constant and bias of readings `with_errors`, each with its 95% interval by animal."""
    animals = predictions["animal"].to_numpy()
    sums = np.column_stack(
        [predictions["error_days"], predictions["constant_days"], predictions["gap_days"], np.ones(len(predictions))]
    ).astype(float)
    error, constant, gap, count = sums.sum(axis=0)
    return {
        "animals": len(np.unique(animals)),
        "readings": len(predictions),
        "mae_days": error / count,
        "mae_days_95": by_animal(animals, sums, lambda s: s[:, 0] / s[:, 3], seed),
        "mae_ratio": error / constant if constant > 0 else float("nan"),
        "mae_ratio_95": by_animal(animals, sums, lambda s: s[:, 0] / s[:, 1], seed),
        "bias_days": gap / count,
        "bias_days_95": by_animal(animals, sums, lambda s: s[:, 2] / s[:, 3], seed),
    }


def difference_p(predictions: pd.DataFrame, levels: pd.Series) -> float:
    """Return p of no difference between levels of the animals' mean gap at given age; NaN where no test is possible."""
    age, gap = predictions["age_days"].to_numpy(float), predictions["gap_days"].to_numpy(float)
    line = np.polyfit(age, gap, 1) if np.ptp(age) > 0 else np.zeros(2)
    left = pd.DataFrame({"animal": predictions["animal"], "level": levels, "left": gap - np.polyval(line, age)})
    means = left.groupby(["animal", "level"])["left"].mean().reset_index()
    groups = [rows["left"].to_numpy() for _, rows in means.groupby("level") if len(rows) >= 2]
    if len(groups) < 2 or np.ptp(np.concatenate(groups)) == 0:
        return float("nan")
    return float(stats.kruskal(*groups).pvalue)


def _beware(animals: int, differing: list[str], tests: int) -> str:
    few = f"Only {counted(animals, 'test animal')}: the figures of this report are rough. " if animals < FEW else ""
    bias = f"The bias differs by {', '.join(differing)} (after correction for {tests} tests)." if differing else ""
    return (few + bias).strip()


def _levels(predictions: pd.DataFrame, factor: str) -> pd.Series:
    if factor == "age band":
        return predictions["age_band"]
    values = predictions[factor].fillna("").astype(str)
    return values.where(values != "", UNKNOWN)


def _order(predictions: pd.DataFrame, levels: pd.Series, factor: str) -> list[str]:
    if factor == "age band":
        return bands_in_order(predictions["age_days"].to_numpy(float))
    animals = predictions.groupby(levels)["animal"].nunique()
    return list(animals.sort_index().sort_values(ascending=False, kind="stable").index)


def _table(factor: str, found: dict[str, dict[str, Any]], tests: dict[str, float]) -> Table:
    shown = list(found.items())[:MOST_SHOWN]
    rows = tuple(
        (
            name,
            str(one["animals"]),
            str(one["readings"]),
            weeks(one["mae_days"]),
            weeks_between(one["mae_days_95"]),
            number(one["mae_ratio"]),
            between(one["mae_ratio_95"]),
            weeks(one["bias_days"]),
            weeks_between(one["bias_days_95"]),
        )
        for name, one in shown
    )
    note = ""
    if len(found) > len(shown):
        maes = np.array([one["mae_days"] for one in found.values()])
        note = (
            f"{len(found)} levels, the {len(shown)} with most animals are shown, all are in report.json; MAE of the "
            f"middle 80% of levels: {weeks(np.quantile(maes, 0.1))} to {weeks(np.quantile(maes, 0.9))} weeks. "
        )
    if factor in tests:
        note += f"p = {tests[factor]:.2g} for no difference of bias."
    return Table((factor, *_COLUMNS[1:]), rows, note)


def _picture(figures: dict[str, Any]) -> Picture:
    lines = [
        (name, one)
        for factor in ("age_band", "sex", "strain", "light", "site")
        for name, one in list(figures[factor]["levels"].items())[:MOST_SHOWN]
        if name != UNKNOWN
    ]
    figure, (left, right) = axes(2, 4.8, 0.26 * len(lines) + 1.1, sharey=True)
    names = [name for name, _ in lines]
    for axis, key, title in ((left, "mae_days", "MAE, weeks"), (right, "bias_days", "bias, weeks")):
        values = np.array([one[key] for _, one in lines]) / 7
        bars(axis, names, values, np.array([one[f"{key}_95"] for _, one in lines]).reshape(-1, 2) / 7)
        axis.set_xlabel(title)
    left.set_xlim(left=0)
    left.axvline(figures["all"]["mae_days"] / 7, color="#888888", lw=0.8, ls="--")
    right.axvline(0, color="#888888", lw=0.8, ls="--")
    return Picture("MAE and bias by level, 95% intervals by animal; dashed: all animals, and no bias.", png(figure))
