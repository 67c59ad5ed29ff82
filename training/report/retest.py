"""Test-retest: how far apart are two readings of one animal within a few days?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from edge.errors import OperatorError
from training.report.material import Floats, Material
from training.report.section import Section, Table, absent, between, number, weeks
from training.statistics.errors import fit_errors
from training.statistics.reliability import Reliability, reliability

KEY, TITLE = "test_retest", "Does it give the same age again?"
WINDOW_DAYS = 7.0
"""Looks do not change within a week by more than a week's ageing, which the gap leaves out."""
LEAST_ANIMALS = 5
FEW = 20


def section(material: Material) -> Section:
    """Return ICC, SEM and minimal detectable change of accepted readings; over months too where they allow it."""
    predictions = material.predictions if material.again is None else material.again
    predictions = predictions.assign(gap=_gap(predictions))[predictions["accepted"].astype(bool)]
    found: dict[str, tuple[Reliability, Reliability]] = {}
    for unit, readings in (("reading", predictions), ("day", day_means(predictions))):
        chosen = repeated(readings)
        if chosen is None or (unit == "day" and len(readings) == len(predictions)):
            continue
        gaps = np.array([rows["gap"].to_numpy(float) for rows in chosen])
        ages = np.array([rows["predicted_days"].to_numpy(float) for rows in chosen])
        found[unit] = reliability(gaps), reliability(ages)
    months = _over_months(material.predictions)
    if not found and "missing" in months:
        return absent(KEY, TITLE, f"{_too_few()}; {months['missing']}")
    figures = {
        unit: {"gap": _figures(gap), "predicted_age_icc_1": age.icc_1, "window_days": WINDOW_DAYS}
        for unit, (gap, age) in found.items()
    }
    first = found.get("reading")
    return Section(
        KEY,
        TITLE,
        _summary(first[0]) if first else f"{_too_few().capitalize()}; the figures over months are given instead.",
        (
            f"Accepted readings of animals that were read at least twice within {WINDOW_DAYS:g} days, as many of "
            "each as most have: of the test animals, or of further ones that were photographed for it. ICC of the gap "
            "freed of its line on age: the ICC of the predicted age itself is higher "
            "because animals of all ages are in it, and says nothing of telling animals of one age apart.",
            "ICC(1,1): any readings. ICC(A,1): the same with the order of the readings as a factor, absolute agreement "
            "(Shrout and Fleiss, 1979; McGraw and Wong, 1996). SEM: root mean square within animals. A change of one "
            "animal below the minimal detectable change (1.96 √2 SEM) may be error.",
        ),
        {**figures, "months": months},
        tuple(table for table in (_table(found), _months_table(months)) if table is not None),
        beware=f"Only {first[0].animals} animals: the intervals are wide." if first and first[0].animals < FEW else "",
    )


def repeated(predictions: pd.DataFrame, window_days: float = WINDOW_DAYS) -> list[pd.DataFrame] | None:
    """Return for each animal its k readings nearest in age, within the window; None below LEAST_ANIMALS.

    predictions: animal, age_days. k is the number, from 2, that leaves most readings in; ties go to more readings an
    animal.
    """
    best: dict[int, pd.DataFrame] = {}
    for animal, rows in predictions.sort_values("age_days", kind="stable").groupby("animal"):
        age = rows["age_days"].to_numpy(float)
        ends = np.searchsorted(age, age + window_days, side="right")
        start = int(np.argmax(ends - np.arange(len(age))))
        best[int(animal)] = rows.iloc[start : int(ends[start])]
    sizes = np.array([len(rows) for rows in best.values()])
    counts = {k: int((sizes >= k).sum()) for k in range(2, int(sizes.max(initial=0)) + 1)}
    usable = {k: count for k, count in counts.items() if count >= LEAST_ANIMALS}
    if not usable:
        return None
    k = max(usable, key=lambda one: (usable[one] * (one - 1), one))
    return [rows.iloc[:k] for rows in best.values() if len(rows) >= k]


def day_means(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return one row an animal and day: the mean of its readings."""
    day = np.floor(predictions["age_days"])
    return (
        predictions.assign(day=day)
        .groupby(["animal", "day"])[["age_days", "gap", "predicted_days"]]
        .mean()
        .reset_index()
    )


def _gap(predictions: pd.DataFrame) -> Floats:
    """Return the corrected gap, or where there is none the raw one less its own line on age."""
    corrected: Floats = predictions["corrected_gap_days"].to_numpy(float)
    if np.isfinite(corrected).all():
        return corrected
    age, gap = predictions["age_days"].to_numpy(float), predictions["gap_days"].to_numpy(float)
    line = np.polyfit(age, gap, 1) if np.ptp(age) > 0 else np.array([0.0, gap.mean()])
    return np.asarray(gap - np.polyval(line, age))


def _over_months(predictions: pd.DataFrame) -> dict[str, Any]:
    try:
        model = fit_errors(predictions.assign(subject=predictions["animal"]), "over months")
    except OperatorError as error:
        return {"missing": str(error).partition(";")[0]}
    figures = model.figures()
    names = ("icc_reading", "animal_sd", "rate_sd", "day_sd", "reading_sd", "minimal_detectable_change_days", "animals")
    return {name: figures[name] for name in names}


def _figures(found: Reliability) -> dict[str, Any]:
    values = asdict(found)
    return values | {"sem_days": values.pop("sem"), "minimal_detectable_change_days": values.pop("change")}


def _too_few() -> str:
    return f"fewer than {LEAST_ANIMALS} animals have two accepted readings within {WINDOW_DAYS:g} days"


def _summary(gap: Reliability) -> str:
    return (
        f"ICC(1,1) of the gap {number(gap.icc_1)} ({between(gap.icc_1_95)}), SEM {weeks(gap.sem)} weeks; two readings "
        f"of one animal differ by more than {weeks(gap.change)} weeks in only 5% by error alone ({gap.animals} "
        f"animals, {gap.readings} readings each)."
    )


def _table(found: dict[str, tuple[Reliability, Reliability]]) -> Table | None:
    if not found:
        return None
    names = {"reading": "single reading", "day": "mean of a day's readings"}
    rows = tuple(
        (
            names[unit],
            f"{gap.animals} x {gap.readings}",
            f"{number(gap.icc_1)} ({between(gap.icc_1_95)})",
            f"{number(gap.icc_a)} ({between(gap.icc_a_95)})",
            weeks(gap.sem),
            weeks(gap.change),
            number(age.icc_1),
        )
        for unit, (gap, age) in found.items()
    )
    columns = ("unit", "animals x readings", "ICC(1,1) of the gap (95%)", "ICC(A,1) (95%)", "SEM, weeks")
    return Table((*columns, "minimal detectable change, weeks", "ICC(1,1) of the predicted age"), rows)


def _months_table(months: dict[str, Any]) -> Table | None:
    if "missing" in months:
        return None
    row = (
        str(months["animals"]),
        number(months["icc_reading"]),
        *(weeks(months[name]) for name in ("animal_sd", "reading_sd", "minimal_detectable_change_days")),
    )
    columns = ("over months: animals", "ICC of a reading", "between animals, SD weeks", "reading, SD weeks")
    note = "From the model of errors that `power` draws studies from: all test readings, freed of the curve over age."
    return Table((*columns, "minimal detectable change, weeks"), (row,), note)
