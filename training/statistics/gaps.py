"""Read the age gap of every reading: from a run's predictions, any table with ages, or the station's export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.errors import OperatorError

_SEXES = {"female": "F", "f": "F", "male": "M", "m": "M"}
_TRUE = {"1", "1.0", "true", "yes"}


def read_table(path: Path) -> pd.DataFrame:
    """Return a CSV's rows, text trimmed.

    Raises:
        OperatorError: there is none, it is no table, or it has no rows.
    """
    if not path.is_file():
        raise OperatorError(f"{path}: expected a CSV file, there is none")
    try:
        table = pd.read_csv(path, skipinitialspace=True, dtype={"subject": str, "cage": str})
    except (ValueError, UnicodeDecodeError, pd.errors.ParserError) as error:
        raise OperatorError(f"{path}: expected a CSV table with a header row, got {error}") from error
    if table.empty:
        raise OperatorError(f"{path}: expected rows below the header, got none")
    table.columns = [str(name).strip() for name in table.columns]
    for name in table.select_dtypes(include=["object", "string"]):
        table[name] = table[name].str.strip()
    return table


def column(table: pd.DataFrame, name: str, path: Path | str) -> pd.Series:
    """Return a column.

    Raises:
        OperatorError: there is none of this name, or all its values are missing.
    """
    if name not in table:
        raise OperatorError(f"{path}: column {name}: there is none; columns are {', '.join(map(str, table.columns))}")
    if table[name].isna().all():
        raise OperatorError(f"{path}: column {name}: expected values, all {len(table)} rows are empty")
    return table[name]


def numbers(table: pd.DataFrame, name: str, path: Path | str) -> pd.Series:
    """Return a column as float64.

    Raises:
        OperatorError: as `column`, or a value is no finite number (row by line of the file, the header is 1).
    """
    values = column(table, name, path)
    found = pd.to_numeric(values, errors="coerce").astype(float)
    wrong = np.flatnonzero((found.isna() & values.notna()) | np.isinf(found))
    if len(wrong):
        raise OperatorError(
            f"{path}: row {wrong[0] + 2}, column {name}: expected a number, got {values.iloc[wrong[0]]!r}"
        )
    return found


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
    table, said = read_table(path), list[str]()
    if "estimate_days" in table and "predicted_days" not in table:
        table, said = _of_station(table, path)
    table["predicted_days"] = numbers(table, "predicted_days", path)
    table["age_days"] = numbers(table, "age_days", path)
    negative = np.flatnonzero(table["age_days"] < 0)
    if len(negative):
        got = table["age_days"].iloc[negative[0]]
        raise OperatorError(f"{path}: row {negative[0] + 2}, column age_days: expected an age from 0, got {got:g}")
    if "subject" not in table and "cage" not in table:
        raise OperatorError(f"{path}: column subject: there is none, and no column cage either")
    for name in ("subject", "cage", "sex"):
        table[name] = table[name].fillna("").astype(str) if name in table else ""
    table["sex"] = table["sex"].map(lambda text: _SEXES.get(text.lower(), text if text in ("U", "O") else ""))
    nobody = table["subject"] == ""
    table.loc[nobody, "subject"] = table.loc[nobody, "cage"].map(lambda name: f"cage {name}" if name else "")
    nameless = np.flatnonzero(table["subject"] == "")
    if len(nameless):
        raise OperatorError(
            f"{path}: row {nameless[0] + 2}, column subject: expected an animal's or a cage's name, got none"
        )
    before = len(table)
    if "accepted" in table:
        table = table[table["accepted"].astype(str).str.lower().isin(_TRUE)]
    table = table[table["predicted_days"].notna() & table["age_days"].notna()].reset_index(drop=True)
    if table.empty:
        raise OperatorError(f"{path}: column predicted_days: no accepted reading has both a prediction and an age")
    table["gap_days"] = table["predicted_days"] - table["age_days"]
    return table, before - len(table), said


def _of_station(animals: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Join the station's animals.csv with subjects.csv; its `age_days` is the estimate, true age comes from birth.

    The second value names, with counts, the readings that are left out because they are no animal's and no cage's.
    """
    animals, said = _of_somebody(animals, path)
    beside = path.with_name("subjects.csv")
    subjects = read_table(beside)
    column(subjects, "date_of_birth", beside)
    born = pd.to_datetime(subjects["date_of_birth"], errors="coerce", utc=True)
    wrong = np.flatnonzero(born.isna() & subjects["date_of_birth"].notna())
    if len(wrong):
        got = subjects["date_of_birth"].iloc[wrong[0]]
        raise OperatorError(f"{beside}: row {wrong[0] + 2}, column date_of_birth: expected YYYY-MM-DD, got {got!r}")
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
    captured = pd.to_datetime(table["captured_at"], errors="coerce", utc=True)
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
        said.append(f"{early.sum()} readings lie before their animal's date_of_birth and are left out")
    return table[~early].reset_index(drop=True), said


def _mean_births(members: pd.DataFrame, captured: pd.Series) -> pd.Series:
    """Return the mean birth of the members that lived in the cage at each time, NaT where none did."""

    def seconds(times: pd.Series) -> NDArray[np.float64]:
        return ((times - _ZERO).dt.total_seconds()).to_numpy(float)

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
    "several_animals", "table_names_another",
)  # fmt: skip
"""Reasons of the station's export for which a reading is nobody's, or of one of several animals: no unit at all."""


def _of_somebody(animals: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows that are an animal's or a group's, and a sentence for each kind that is not."""
    reasons = animals["subject_reason"].fillna("") if "subject_reason" in animals else pd.Series("", animals.index)
    if "time_basis" in animals:
        reasons = reasons.mask(animals["time_basis"] == "unsynchronised", "clock_never_set")
    away = reasons.isin(_AWAY)
    said = [
        f"{number} readings are no animal's ({reason}, as the station says) and are left out"
        for reason, number in reasons[away].value_counts().items()
    ]
    if away.all():
        raise OperatorError(f"{path}: column subject: every reading is nobody's; the first: {reasons.iloc[0]}")
    return animals[~away].reset_index(drop=True), said
