"""Baselines that know nothing of the animal's looks: if one of them tells the age, so may a shortcut in the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from training.crops.table import TRUTH
from training.report.background import background
from training.report.intervals import by_animal
from training.report.light import PIXELS, cross_fit
from training.report.material import Floats, Material, thinned
from training.report.plots import axes, bars, png
from training.report.section import Picture, Section, Table, absent, between, number, weeks, weeks_between

KEY, TITLE = "baselines", "What can be predicted without looking at the animal?"
TABULAR = ("ridge-1", "boosting")
MOST = 3000
SIZES = ("body_length_mm", "girth_mm")
_METADATA = ("camera", "site", "light", "strain", "sex")


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A baseline's features (n rows) with the text columns among them, or the reason why there are none."""

    name: str
    what: str
    features: pd.DataFrame | None
    categories: tuple[str, ...] = ()
    names: tuple[str, ...] = TABULAR
    reason: str = ""


def section(material: Material) -> Section:
    """Return every baseline's error on the test animals, cross-fitted by animal, beside the model's."""
    rows = _rows(material)
    test = material.table["split"].to_numpy()[rows] == "test"
    truth, animals = material.age_days[rows], material.animal[rows]
    if np.ptp(truth) == 0:
        return absent(KEY, TITLE, "all readings are of one age, which a guess tells")
    model = np.abs(material.predictions["gap_days"].to_numpy(float))
    groups = material.table["group"].to_numpy()[rows]
    figures: dict[str, Any] = {}
    notes = {"constant": "median of the training folds"}
    for one in baselines_of(material, rows):
        notes[one.name] = one.what
        if one.features is None:
            figures[one.name] = {"missing": one.reason}
            continue
        found = cross_fit(one.features, truth, groups, material.seed, one.names, one.categories, what=one.name)
        constant = np.abs(found.constant - truth)
        if "constant" not in figures:
            figures = {"constant": _against(constant, constant, model, animals, test, material.seed), **figures}
        figures[one.name] = _against(np.abs(found.predicted - truth), constant, model, animals, test, material.seed)
    scored = {name: one for name, one in figures.items() if "missing" not in one}
    # The date of a simulated picture is nominal: all animals are born in one month.
    nominal = {"constant", "date"} if material.simulated else {"constant"}
    best = min((name for name in scored if name not in nominal), key=lambda name: scored[name]["mae_days"])
    rivals = [name for name, one in scored.items() if not one["model_less_days_95"][0] > 0]
    return Section(
        KEY,
        TITLE,
        f"The best of them, {best.replace('_', ' ')}, is wrong by {weeks(scored[best]['mae_days'])} weeks, always "
        f"guessing the median by {weeks(scored['constant']['mae_days'])}, the model by {weeks(float(model.mean()))}.",
        _text(material, len(rows)),
        figures | {"model_mae_days": float(model.mean())},
        (_table(figures, notes),),
        (_picture(scored, float(model.mean())),),
        beware=_beware(material, rivals),
    )


def baselines_of(material: Material, rows: NDArray[np.intp]) -> list[Baseline]:
    """Return the baselines with their features for these rows."""
    table = material.table.iloc[rows].reset_index(drop=True)
    crops = material.crops[rows]
    return [
        _numbers("weight", "weight alone", table, ("weight_g",)),
        _numbers("weight_and_sex", "weight and sex", table, ("weight_g",), ("sex",)),
        _size(table),
        _metadata(table),
        _date(table),
        Baseline("mean_intensity", "mean grey of the crop", _frame(crops.mean(axis=(1, 2)).mean(axis=1)[:, None])),
        Baseline("background", "the crop's corners, outside an ellipse about the body", _frame(background(crops)),
                 names=PIXELS),
    ]  # fmt: skip


def _rows(material: Material) -> NDArray[np.intp]:
    """Return all test readings and enough of the others to learn from."""
    test = np.flatnonzero((material.table["split"] == "test").to_numpy())
    rest = np.flatnonzero((material.table["split"] != "test").to_numpy())
    return np.concatenate([test, thinned(material.animal, rest, max(300, MOST - len(test)))])


def _numbers(
    name: str, what: str, table: pd.DataFrame, columns: tuple[str, ...], categories: tuple[str, ...] = ()
) -> Baseline:
    if table[list(columns)].isna().all(axis=None):
        return Baseline(name, what, None, reason=f"no animal has a value in column {' or '.join(columns)}")
    return Baseline(name, what, table[[*columns, *categories]], categories)


def _size(table: pd.DataFrame) -> Baseline:
    what = "body length and girth"
    for prefix in ("", TRUTH):
        names = [f"{prefix}{size}" for size in SIZES if f"{prefix}{size}" in table]
        if names and table[names].notna().any(axis=None):
            stated = f"{what} that the picture was drawn from" if prefix else what
            return Baseline("body_size", stated, table[names])
    reason = f"no animal has a value in column {' or '.join(SIZES)}; `crops` measures the length where it cuts"
    return Baseline("body_size", what, None, reason=reason)


def _metadata(table: pd.DataFrame) -> Baseline:
    given = tuple(name for name in _METADATA if (table[name] != "").any())
    features = table[list(given)].astype(object)
    for name in given:
        groups = table.groupby(name)["group"].transform("nunique")
        features[name] = features[name].where(groups > 1, "of one cage")  # tells nothing of animals in other folds
    hour = table["captured_at"].dt.hour + table["captured_at"].dt.minute / 60
    if hour.notna().any():
        features = features.assign(hour_sin=np.sin(hour * np.pi / 12), hour_cos=np.cos(hour * np.pi / 12))
    what = ", ".join([*given, *(["hour of the day"] if hour.notna().any() else [])])
    if features.empty or not len(features.columns):
        return Baseline("metadata", "", None, reason="no camera, site, light, strain, sex or time is given")
    return Baseline("metadata", what, features, given)


def _date(table: pd.DataFrame) -> Baseline:
    what = "day on which the picture was taken"
    if table["captured_at"].isna().all():
        return Baseline("date", what, None, reason="no picture has a time in column captured_at")
    day = (table["captured_at"] - table["captured_at"].min()) / pd.Timedelta(days=1)
    return Baseline("date", what, pd.DataFrame({"day": day.astype(float)}))


def _frame(values: Floats) -> pd.DataFrame:
    return pd.DataFrame(values, columns=[f"p{number:03d}" for number in range(values.shape[1])])


def _against(
    errors: Floats, constant: Floats, model: Floats, animals: NDArray[np.int_], test: NDArray[np.bool_], seed: int
) -> dict[str, Any]:
    """Return a baseline's figures on the test readings; errors, constant (n,), model (test readings,)."""
    sums = np.column_stack([errors[test], constant[test], model, np.ones(int(test.sum()))])
    error, guess, other, count = sums.sum(axis=0)
    return {
        "mae_days": error / count,
        "mae_ratio": error / guess if guess > 0 else float("nan"),
        "mae_ratio_95": by_animal(animals[test], sums, lambda s: s[:, 0] / s[:, 1], seed),
        "model_less_days": (error - other) / count,
        "model_less_days_95": by_animal(animals[test], sums, lambda s: (s[:, 0] - s[:, 2]) / s[:, 3], seed),
        "mae_days_all_animals": float(errors.mean()),
    }


def _text(material: Material, count: int) -> tuple[str, ...]:
    stated = [
        f"Each baseline is cross-fitted in 5 folds over {count} readings of all animals: an animal, and who ever "
        "shared a cage with it, is on one side only. Ridge regression or gradient boosting, whichever is better in "
        "inner folds; ridge for pixels. Figures are of the test animals, so that they stand beside the model's.",
        "`model less` is by how many weeks the model's error is below the baseline's; where its interval holds 0 the "
        "model is not shown to be better.",
    ]
    if material.simulated:
        stated.append(
            "Simulated animals are all born in one month, so the date tells their age, and no picture shows it: it is "
            "left out of the answer. With real animals the same figure warns of a cohort design: age is then date plus "
            "a constant."
        )
    return tuple(stated)


def _beware(material: Material, rivals: list[str]) -> str:
    real = [name for name in rivals if not (material.simulated and name == "date")]
    return f"The model is not shown to be better than: {', '.join(real).replace('_', ' ')}." if real else ""


def _table(figures: dict[str, Any], notes: dict[str, str]) -> Table:
    rows = []
    for name, one in figures.items():
        label = name.replace("_", " ")
        if "missing" in one:
            rows.append((label, f"left out: {one['missing']}", "", "", "", "", ""))
            continue
        rows.append(
            (
                label,
                notes.get(name, ""),
                weeks(one["mae_days"]),
                number(one["mae_ratio"]),
                between(one["mae_ratio_95"]),
                weeks(one["model_less_days"]),
                weeks_between(one["model_less_days_95"]),
            )
        )
    columns = ("baseline", "knows", "MAE, weeks", "MAE / constant", "95%", "model less, weeks", "95%")
    return Table(columns, tuple(rows))


def _picture(scored: dict[str, Any], model_days: float) -> Picture:
    figure, (axis,) = axes(1, 7.5, 0.32 * len(scored) + 1.1)
    scale = scored["constant"]["mae_days"]
    ends = np.array([one["mae_ratio_95"] for one in scored.values()])
    bars(
        axis, [name.replace("_", " ") for name in scored], np.array([one["mae_ratio"] for one in scored.values()]), ends
    )
    if scale > 0:
        axis.axvline(model_days / scale, color="#c0562f", lw=1.5, label="model")
    axis.axvline(1, color="#888888", lw=0.8, ls="--", label="constant")
    axis.set_xlabel("MAE / constant")
    axis.set_xlim(left=0)
    axis.legend(frameon=False, fontsize=8)
    return Picture("Error of each baseline against always guessing the median; red: the model.", png(figure))
