"""Read the age gap of every reading: from a run's predictions, any table with ages, or the station's export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

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


def read_gaps(path: Path) -> tuple[pd.DataFrame, int]:
    """Return accepted readings, and how many were left out as not accepted.

    Columns: subject, cage, sex (text, "" where unknown), age_days, predicted_days, gap_days (raw), and the file's other
    columns. path: predictions.csv, a run's folder, a table with subject, age_days, predicted_days, or the station's
    export (its folder, or its animals.csv with subjects.csv beside it). Animals without identity are their cage.

    Raises:
        OperatorError: file, row and column of what is wrong.
    """
    if path.is_dir():
        path = next(
            (path / name for name in ("predictions.csv", "animals.csv") if (path / name).exists()),
            path / "predictions.csv",
        )
    table = read_table(path)
    if "estimate_days" in table and "predicted_days" not in table:
        table = _of_station(table, path)
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
    return table, before - len(table)


def _of_station(animals: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Join the station's animals.csv with subjects.csv; its `age_days` is the estimate, true age comes from birth."""
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
    # A reading without a name is an animal's only where its cage has one; else the cage is the unit.
    for cage, members in subjects.dropna(subset=["cage"]).groupby("cage"):
        rows = (table["subject"] == "") & (table["cage"] == cage)
        if len(members) == 1:
            table.loc[rows, "subject"] = members["subject"].iloc[0]
        else:
            name = f"cage {cage}"
            table.loc[rows, "subject"] = name
            one = {key: members[key].iloc[0] if members[key].nunique() == 1 else None for key in ("sex", "arm")}
            known.loc[name, ["born", "sex", "arm"]] = [members["born"].mean(), one["sex"], one["arm"]]
    captured = pd.to_datetime(table["captured_at"], errors="coerce", utc=True)
    births = pd.to_datetime(table["subject"].map(known["born"]), utc=True)
    table["age_days"] = (captured - births).dt.total_seconds() / 86400
    for source, name in (("sex", "sex"), ("arm", "treatment")):
        if source in known:
            table[name] = table["subject"].map(known[source])
    if table["age_days"].isna().all():
        raise OperatorError(f"{beside}: column date_of_birth: no subject of {path.name} has one")
    return table
