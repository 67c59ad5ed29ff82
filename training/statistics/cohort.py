"""One cohort: readings joined with what the lab knows of its animals; one row an animal or an examination of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.contract.tables.join import describe_join, join
from edge.contract.tables.names import describe_near, near_equal
from edge.errors import OperatorError
from training.statistics.gaps import read_gaps
from training.statistics.table import as_labels, column, line_of, numbers, read_table

WINDOW_DAYS = 14.0
_EVENTS = {
    "1": 1.0, "1.0": 1.0, "true": 1.0, "yes": 1.0, "dead": 1.0, "died": 1.0, "death": 1.0, "found dead": 1.0,
    "culled": 1.0, "cull": 1.0, "euthanised": 1.0, "euthanized": 1.0, "killed": 1.0,
    "0": 0.0, "0.0": 0.0, "false": 0.0, "no": 0.0, "alive": 0.0, "censored": 0.0, "lost": 0.0, "": 0.0,
}  # fmt: skip
_ALLELES = {"+/+": 0.0, "wt": 0.0, "+/-": 1.0, "-/+": 1.0, "het": 1.0, "-/-": 2.0, "ko": 2.0, "hom": 2.0}
_CONTROLS = ("control", "controls", "vehicle", "ctrl", "sham", "placebo", "none", "0", "untreated")


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """readings: one row a reading. animals: one row an animal (several where it was examined several times).

    animals has subject, cage, sex, age_days and gap_days (means of its readings, or of those near an examination),
    baseline_age_days and baseline_gap_days (readings of its first days), and the lab's columns. longitudinal: some
    animal has several rows. source: the file that the lab's columns come from. matched: how many animals are in both
    tables, a sentence; "" where there is one table. Animals without a partner are named in `warnings`.
    """

    name: str
    readings: pd.DataFrame
    animals: pd.DataFrame
    source: str
    longitudinal: bool
    refused: int
    warnings: list[str]
    matched: str = ""


def read_cohort(predictions: Path, phenotypes: Path | None, name: str) -> Cohort:
    """Return predictions and phenotypes, joined on subject (on cage where the phenotypes name only cages).

    Raises:
        OperatorError: file, row and column of what is wrong; no animal is in both.
    """
    readings, refused, remarks = read_gaps(predictions)
    if phenotypes is None:
        return _cohort(name, readings, None, str(predictions), refused, remarks)
    table = read_table(phenotypes)
    key = "subject" if "subject" in table else "cage"
    column(table, key, phenotypes)
    table[key] = table[key].fillna("").astype(str)
    if key == "cage":
        readings = readings.assign(subject=readings["cage"])
        table = table.rename(columns={"cage": "subject"})
    what = "animal" if key == "subject" else "cage"
    remarks += [*table.attrs["notes"], *describe_near(table["subject"], what)]
    found = join(readings["subject"], table["subject"])
    matched, *apart = describe_join(found, "the predictions", "the phenotypes", f"{what}s")
    remarks += apart
    both = found.matched
    if not both:
        raise OperatorError(
            f"{phenotypes}: column {key}: none of its {table['subject'].nunique()} names is in {predictions} "
            f"(there: {', '.join(sorted(set(readings['subject']))[:3])}, ...)"
        )
    doubled = np.flatnonzero(table["subject"].duplicated())
    if len(doubled) and "age_days" not in table:
        where = f"{phenotypes}: row {line_of(table, doubled[0])}, column subject"
        raise OperatorError(
            f"{where}: {table['subject'].iloc[doubled[0]]} stands twice; "
            "several examinations of an animal need a column age_days"
        )
    if "age_days" in table:
        table["age_days"] = numbers(table, "age_days", phenotypes)
    cohort = _cohort(name, readings[readings["subject"].isin(both)], table, str(phenotypes), refused, remarks)
    return replace(cohort, matched=f"{name}: {matched}.")


def split_cohort(cohort: Cohort, by: str, discovery: str | None) -> tuple[Cohort, Cohort]:
    """Return discovery and validation cohort by a column of the animals (default: the larger value discovers)."""
    values = as_labels(column(cohort.animals, by, cohort.source))
    names = values.value_counts()
    first = discovery or str(names.index[0])
    if first not in names.index or len(names) < 2:
        raise OperatorError(
            f"{cohort.source}: column {by}: expected {first!r} and another cohort, got {', '.join(names.index)}"
        )
    halves = []
    for name, rows in ((first, values == first), (" + ".join(n for n in names.index if n != first), values != first)):
        animals = cohort.animals[rows].reset_index(drop=True)
        readings = cohort.readings[cohort.readings["subject"].isin(animals["subject"])]
        halves.append(
            Cohort(name, readings, animals, cohort.source, cohort.longitudinal, cohort.refused, list(cohort.warnings))
        )
    return halves[0], halves[1]


def events(cohort: Cohort, name: str) -> NDArray[np.float64]:
    """Return 1 for deaths and culls, 0 for animals alive or lost at the end, of a column."""
    text = as_labels(cohort.animals[name]).str.lower()
    found = text.map(_EVENTS)
    return _decoded(found, cohort, name, "dead, culled or 1, alive, censored or 0")


def alleles(cohort: Cohort, name: str) -> NDArray[np.float64]:
    """Return the number of variant alleles, 0-2, of a column of numbers or of +/+, +/-, -/-, WT, HET, HOM, KO."""
    values = column(cohort.animals, name, cohort.source)
    found = pd.to_numeric(values, errors="coerce")
    found = found.where(found.isin([0, 1, 2]), values.astype(str).str.lower().map(_ALLELES))
    return _decoded(found.where(values.notna()), cohort, name, "0, 1, 2, or +/+, +/-, -/-, WT, HET, HOM", gaps=True)


def binary(cohort: Cohort, name: str) -> NDArray[np.float64]:
    """Return 0, 1 or NaN of a column of two values; of texts the second in the alphabet is 1 (no < yes)."""
    values = column(cohort.animals, name, cohort.source)
    levels = sorted(values.dropna().unique())
    if len(levels) != 2:
        shown = ", ".join(str(level) for level in levels[:4])
        raise OperatorError(f"{cohort.source}: column {name}: expected two values that differ, got {shown}")
    return np.where(values.isna(), np.nan, (values == levels[1]).astype(float))


def arms(cohort: Cohort, name: str, control: str | None) -> tuple[str, list[str]]:
    """Return the control arm's name and the others'; two names that likely mean one arm would split it, and raise."""
    names = sorted(as_labels(column(cohort.animals, name, cohort.source)).unique())
    names = [level for level in names if level]
    if near_equal(names):
        raise OperatorError(f"{cohort.source}: column {name}: {describe_near(names, 'arm')[0]}")
    guess = [level for level in names if level.lower() in _CONTROLS]
    chosen = control or (guess[0] if len(guess) == 1 else None)
    if chosen is None or chosen not in names:
        raise OperatorError(
            f"{cohort.source}: column {name}: which arm is the control? got {', '.join(names)}; say --control ARM"
        )
    if len(names) < 2:
        raise OperatorError(f"{cohort.source}: column {name}: expected two arms or more, got only {chosen}")
    return chosen, [level for level in names if level != chosen]


def _decoded(found: pd.Series, cohort: Cohort, name: str, wanted: str, gaps: bool = False) -> NDArray[np.float64]:
    wrong = np.flatnonzero(found.isna() & (cohort.animals[name].notna() | (not gaps)))
    if len(wrong):
        got = cohort.animals[name].iloc[wrong[0]]
        who = cohort.animals["subject"].iloc[wrong[0]]
        raise OperatorError(f"{cohort.source}: subject {who}, column {name}: expected {wanted}, got {got}")
    numbers: NDArray[np.float64] = found.to_numpy(float)
    return numbers


def _cohort(
    name: str, readings: pd.DataFrame, table: pd.DataFrame | None, source: str, refused: int, left_out: list[str]
) -> Cohort:
    unclear = (readings if table is None else table).attrs.get("unclear", {})
    readings = readings.reset_index(drop=True)
    grouped = readings.groupby("subject", sort=True)
    first_day = grouped["age_days"].transform("min")
    early = readings[readings["age_days"] <= first_day + WINDOW_DAYS].groupby("subject")
    animals = pd.DataFrame(
        {
            "gap_days": grouped["gap_days"].mean(),
            "age_days": grouped["age_days"].mean(),
            "baseline_gap_days": early["gap_days"].mean(),
            "baseline_age_days": early["age_days"].mean(),
            "baseline_last_days": early["age_days"].max(),
            "cage": grouped["cage"].first(),
            "sex": grouped["sex"].first(),
            "readings": grouped.size(),
        }
    ).reset_index()
    longitudinal = table is not None and bool(table["subject"].duplicated().any())
    remarks: list[str] = []
    if table is None:
        rest = [c for c in readings if c not in animals and not re.match(r"predicted|accepted|low_|high_", str(c))]
        animals = animals.merge(grouped[rest].first().reset_index(), on="subject") if rest else animals
    elif longitudinal:
        animals, remarks = _examinations(animals, readings, table)
    else:
        table = table.rename(columns={c: f"{c}_given" for c in table if c in animals and c not in ("subject", "sex")})
        given = table.rename(columns={"sex": "sex_given"})
        animals = animals.merge(given, on="subject", how="inner")
        if "sex_given" in animals:
            text = animals["sex_given"].fillna("").astype(str).str[:1].str.upper()
            animals["sex"] = animals["sex"].where(animals["sex"] != "", text)
        carried = [c for c in ("treatment", "site", "camera", "cohort") if c in readings and c not in animals]
        if carried:
            animals = animals.merge(grouped[carried].first().reset_index(), on="subject")
    if len(animals) < 3 or animals["subject"].nunique() < 3:
        raise OperatorError(
            f"{source}: column subject: expected at least 3 animals, got {animals['subject'].nunique()}"
        )
    animals.attrs = {"unclear": unclear}
    return Cohort(name, readings, animals, source, longitudinal, refused, [*left_out, *remarks])


def _examinations(animals: pd.DataFrame, readings: pd.DataFrame, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return one row an examination, with the mean gap and age of the animal's readings within WINDOW_DAYS of it."""
    of = dict(list(readings.groupby("subject")))
    gaps, ages = [], []
    for subject, day in zip(table["subject"], table["age_days"], strict=True):
        rows = of.get(subject)
        near = rows[(rows["age_days"] - day).abs() <= WINDOW_DAYS] if rows is not None else readings.iloc[:0]
        gaps.append(near["gap_days"].mean())
        ages.append(near["age_days"].mean())
    joined = table.drop(columns=["age_days"]).assign(gap_days=gaps, age_days=ages)
    fixed = animals[[c for c in animals if c == "subject" or c not in joined]]
    whole = joined[joined["gap_days"].notna()].merge(fixed, on="subject")
    lost = len(table) - len(whole)
    remarks = [f"{lost} examinations have no reading within {WINDOW_DAYS:g} days and are left out"] if lost else []
    return whole, remarks
