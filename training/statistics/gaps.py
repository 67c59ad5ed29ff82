"""Read the age gap of every reading: from a run's predictions, any table with ages, or the station's export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.contract.tables.dates import read_dates
from edge.contract.tables.join import describe_join, join
from edge.contract.tables.names import describe_near
from edge.errors import OperatorError
from training.statistics.table import column, line_of, numbers, read_table

_SEXES = {"female": "F", "f": "F", "male": "M", "m": "M"}
_TRUE = {"1", "1.0", "true", "yes"}
_EXPORT = "the export's animals.csv"


def read_gaps(path: Path) -> tuple[pd.DataFrame, int, list[str]]:
    """Return accepted readings, how many were left out as not accepted, and a sentence for what else was left out.

    Columns: subject, cage, sex (text, "" where unknown), age_days, predicted_days, gap_days (raw), and the file's other
    columns. path: predictions.csv, a run's folder, a table with subject, age_days, predicted_days, or the station's
    export (its folder, or its animals.csv with subjects.csv beside it). Animals without identity are their cage; what
    the station gives to nobody, or with a time before the animal's birth, is left out and counted.

    Raises:
        OperatorError: file, row and column of what is wrong.
    """
    if path.is_dir():
        path = next(
            (path / name for name in ("predictions.csv", "animals.csv") if (path / name).exists()),
            path / "predictions.csv",
        )
    table = read_table(path)
    remarks = list(table.attrs["notes"])
    if "estimate_days" in table and "predicted_days" not in table:
        table, more = _of_station(table, path)
        remarks += more
    table["predicted_days"] = numbers(table, "predicted_days", path)
    table["age_days"] = numbers(table, "age_days", path)
    negative = np.flatnonzero(table["age_days"] < 0)
    if len(negative):
        got = table["age_days"].iloc[negative[0]]
        line = line_of(table, negative[0])
        raise OperatorError(f"{path}: row {line}, column age_days: expected an age from 0, got {got:g}")
    if "subject" not in table and "cage" not in table:
        raise OperatorError(f"{path}: expected a column subject or a column cage, found neither")
    for name in ("subject", "cage", "sex"):
        table[name] = table[name].fillna("").astype(str) if name in table else ""
    table["sex"] = table["sex"].map(lambda text: _SEXES.get(text.lower(), text if text in ("U", "O") else ""))
    for name, what in (("subject", "animal"), ("cage", "cage")):
        remarks += describe_near(table[name], what)
    nobody = table["subject"] == ""
    table.loc[nobody, "subject"] = table.loc[nobody, "cage"].map(lambda name: f"cage {name}" if name else "")
    nameless = np.flatnonzero(table["subject"] == "")
    if len(nameless):
        line = line_of(table, nameless[0])
        raise OperatorError(f"{path}: row {line}, column subject: expected an animal's or a cage's name, got none")
    before = len(table)
    if "accepted" in table:
        table = table[table["accepted"].astype(str).str.lower().isin(_TRUE)]
    table = table[table["predicted_days"].notna() & table["age_days"].notna()].reset_index(drop=True)
    if table.empty:
        raise OperatorError(f"{path}: column predicted_days: no accepted reading has both a prediction and an age")
    table["gap_days"] = table["predicted_days"] - table["age_days"]
    return table, before - len(table), remarks


def _of_station(animals: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Join the station's animals.csv with subjects.csv; its `age_days` is the estimate, true age comes from birth.

    The second value names, with counts, the readings that are left out because they are no animal's and no cage's.
    """
    animals, remarks = _of_somebody(animals, path)
    beside = path.with_name("subjects.csv")
    subjects = read_table(beside)
    column(subjects, "date_of_birth", beside)
    remarks += [*subjects.attrs["notes"], *_without_partner(animals, subjects)]
    born = _dates(subjects, "date_of_birth", beside)
    subjects = subjects.assign(born=born)
    known = subjects.set_index("subject")
    table = animals.rename(columns={"estimate_days": "predicted_days"}).drop(columns=["age_days"], errors="ignore")
    table["subject"] = table.get("subject", "")
    table["subject"] = table["subject"].fillna("").astype(str)
    # A reading without a name is an animal's only where its cage has one; else the cage is the unit. The station
    # itself gives names and reasons since its export has the column subject_reason.
    named_by_station = "subject_reason" in table
    groups: dict[str, pd.DataFrame] = {}
    for cage, members in subjects.dropna(subset=["cage"]).groupby("cage"):
        rows = (table["subject"] == "") & (table["cage"] == cage)
        if len(members) == 1 and not named_by_station:
            table.loc[rows, "subject"] = members["subject"].iloc[0]
        else:
            name = f"cage {cage}"
            table.loc[rows, "subject"] = name
            groups[name] = members
            one = {key: members[key].iloc[0] if members[key].nunique() == 1 else None for key in ("sex", "arm")}
            known.loc[name, ["born", "sex", "arm"]] = [members["born"].mean(), one["sex"], one["arm"]]
    captured = _dates(table, "captured_at", path, remarks)
    births = pd.to_datetime(table["subject"].map(known["born"]), utc=True)
    for name, members in groups.items():
        rows = table["subject"] == name
        births[rows] = _mean_births(members, captured[rows])
    table["age_days"] = (captured - births).dt.total_seconds() / 86400
    for source, name in (("sex", "sex"), ("arm", "treatment")):
        if source in known:
            table[name] = table["subject"].map(known[source])
    if table["age_days"].isna().all():
        raise OperatorError(f"{beside}: column date_of_birth: no subject of {path.name} has one")
    early = table["age_days"] < 0
    if early.all():
        raise OperatorError(f"{path}: column captured_at: every reading lies before its animal's date_of_birth")
    if early.any():
        remarks.append(f"{early.sum()} readings lie before their animal's date_of_birth and are left out")
    return table[~early].reset_index(drop=True), remarks


def _without_partner(animals: pd.DataFrame, subjects: pd.DataFrame) -> list[str]:
    """Return which names of the export's readings and of its table of animals have no partner.

    An animal whose cage has readings may be among them without being distinguished.
    """
    cages = set(animals["cage"].dropna()) if "cage" in animals else set()
    apart = subjects[~subjects["cage"].isin(cages)] if "cage" in subjects else subjects
    named = set(animals["subject"].dropna()) if "subject" in animals else set()
    found = join(named, {*apart["subject"].dropna(), *(named & set(subjects["subject"].dropna()))})
    return describe_join(found, _EXPORT, "its subjects.csv")[1:]


def _dates(table: pd.DataFrame, name: str, path: Path, passed_over: list[str] | None = None) -> pd.Series:
    """Return a column of dates as UTC datetimes, NaT where missing; what is wrong is appended to `passed_over`."""
    found = read_dates(["" if pd.isna(value) else str(value) for value in column(table, name, path)])
    if passed_over is not None and found.wrong:
        index, text = found.wrong[0]
        line = line_of(table, index)
        passed_over.append(f"{len(found.wrong)} readings are left out by {name}, the first in row {line}: {text}")
    elif found.wrong or found.question is not None:
        index, text = found.wrong[0] if found.wrong else found.question or (0, "")
        raise OperatorError(f"{path}: row {line_of(table, index)}, column {name}: {text}")
    return pd.Series(pd.to_datetime(list(found.values), utc=True), table.index)


def _mean_births(members: pd.DataFrame, captured: pd.Series) -> pd.Series:
    """Return the mean birth of the members that lived in the cage at each time, NaT where none did."""

    def seconds(times: pd.Series) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (times - _ZERO).dt.total_seconds().to_numpy(float)
        return found

    def days(name: str) -> NDArray[np.float64]:
        if name not in members:
            return np.full(len(members), np.nan)
        return seconds(pd.to_datetime(members[name], errors="coerce", utc=True))

    at, births = seconds(captured)[:, None], seconds(members["born"])
    begins = np.where(np.isnan(days("date_of_arrival")), births, days("date_of_arrival"))
    ends = np.fmin(days("date_of_departure"), days("date_of_death")) + 86400.0
    living = ~(at < begins) & ~(at >= ends) & ~np.isnan(births)  # a date that is not known bounds nothing
    number = living.sum(axis=1)
    mean = np.where(living, births, 0.0).sum(axis=1) / np.where(number == 0, np.nan, number)
    return pd.Series(_ZERO + pd.to_timedelta(mean, unit="s"), captured.index)


_ZERO = pd.Timestamp(0, tz="UTC")

_AWAY = (
    "before_birth", "before_arrival", "after_departure", "after_death", "no_animal_then", "clock_never_set",
    "clock_ahead",    "several_animals", "table_names_another",
)  # fmt: skip
"""Reasons of the station's export for which a reading is nobody's, or of one of several animals: no unit at all."""


def _of_somebody(animals: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that are an animal's or a group's, and a sentence for each kind that is not."""
    reasons = animals["subject_reason"].fillna("") if "subject_reason" in animals else pd.Series("", animals.index)
    if "time_basis" in animals:
        reasons = reasons.mask(animals["time_basis"] == "unsynchronised", "clock_never_set")
        reasons = reasons.mask(animals["time_basis"] == "ahead", "clock_ahead")
    away = reasons.isin(_AWAY)
    remarks = [
        f"{number} readings are no animal's ({reason}, as the station says) and are left out"
        for reason, number in reasons[away].value_counts().items()
    ]
    if away.all():
        raise OperatorError(f"{path}: column subject: every reading is nobody's; the first: {reasons.iloc[0]}")
    return animals[~away].reset_index(drop=True), remarks
