"""The table of a dataset: DATASET/animals.csv, one line a picture, read and checked cell by cell."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np
import pandas as pd

from edge.errors import OperatorError
from training.crops import NUMBERS, TEXT, complete
from training.dataset.finding import Finding
from training.dataset.strains import judge_strain
from training.features.read import as_dates, as_numbers, read_table

TABLE = "animals.csv"
PLACE = ("x0", "y0", "x1", "y1", "snout_x", "snout_y", "tail_base_x", "tail_base_y")
"""Optional: the animal's box or its body parts, pixels of the picture."""
EXTRA_NUMBERS = ("px_per_mm", *PLACE)
DATES = ("date_of_birth", "captured_at")
NAMES = (*TEXT, *NUMBERS, *EXTRA_NUMBERS, *DATES)
ITEM = "item_"
"""Prefix of frailty items (0, 0.5, 1), for example item_fur_loss; other columns are kept as they are."""
_RANGES = {
    "age_days": (0.0, 2000.0),
    "age_uncertainty_days": (0.0, 365.0),
    "weight_g": (1.0, 120.0),
    "px_per_mm": (0.05, 100.0),
}
_CHOICES = {"sex": ("M", "F", "U", "O"), "light": ("white", "infrared")}
_ALIASES = {"male": "M", "female": "F", "m": "M", "f": "F", "u": "U", "o": "O", "ir": "infrared", "": ""}


def read_animals(dataset: Path) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the table with typed columns (index: line in the file) and what is wrong with its cells.

    Age comes from date_of_birth and captured_at where it is not given. A cell that is wrong is missing in the table.

    Raises:
        OperatorError: no table, or none that can be read: empty, without the columns picture and subject.
    """
    path = dataset / TABLE if dataset.is_dir() else dataset
    cells = read_table(path)
    findings = _check_names(cells, path)
    table = pd.DataFrame(index=cells.index)
    for name in cells.columns:
        column = cells[name]
        if (column == "").all():
            findings.append(Finding(0, name, "no value in any line; fill it or take the column out"))
        if name in DATES:
            table[name] = _dates(column, findings)
        elif name in NUMBERS or name in EXTRA_NUMBERS or name.startswith(ITEM):
            table[name] = _numbers(column, findings)
        else:
            table[name] = column
    for name, choices in _CHOICES.items():
        if name in table:
            table[name] = table[name].map(lambda text: _ALIASES.get(text.lower(), text))
            for line, text in table[name][(table[name] != "") & ~table[name].isin(choices)].items():
                findings.append(Finding(int(line), name, f"expected one of {', '.join(choices)}, got '{text}'"))
    for name in ("picture", "subject"):
        findings += [Finding(int(line), name, "is empty") for line in table.index[table[name] == ""]]
    findings += _strains(table) + _ages(table)
    lines = table.index
    table = complete(table)
    table.index = lines
    return table, findings


def _check_names(cells: pd.DataFrame, path: Path) -> list[Finding]:
    for name in ("picture", "subject"):
        if name not in cells:
            near = difflib.get_close_matches(name, list(cells.columns), n=1, cutoff=0.5)
            hint = f"; did you mean '{near[0]}' by it? Rename it" if near else ""
            raise OperatorError(f"{path}: there is no column '{name}'{hint}; see docs/datasets.md")
    findings = []
    for name in cells.columns:
        if name not in NAMES and not name.startswith(ITEM):
            near = difflib.get_close_matches(name.lower(), [one for one in NAMES if one not in cells], 1, 0.75)
            if near:
                findings.append(Finding(0, name, f"unknown; did you mean '{near[0]}'?"))
    if "age_days" not in cells and not {"date_of_birth", "captured_at"} <= set(cells):
        text = "expected a column age_days, or date_of_birth and captured_at"
        findings.append(Finding(0, "age_days", text))
    return findings


def _numbers(cells: pd.Series, findings: list[Finding]) -> pd.Series:
    numbers = as_numbers(cells)
    name = str(cells.name)
    low, high = _RANGES.get(name, (0.0, 1.0) if name.startswith(ITEM) else (-1e6, 1e6))
    wrong = (cells != "") & ~((numbers >= low) & (numbers <= high))
    for line in cells.index[wrong]:
        text = f"expected a number from {low:g} to {high:g}, got '{cells[line]}'"
        if name == "age_days" and numbers[line] < 0:
            text = f"the age lies before the birth: {cells[line]}"
        findings.append(Finding(int(line), name, text))
    return numbers.where(~wrong)


def _dates(cells: pd.Series, findings: list[Finding]) -> pd.Series:
    iso = cells.str.match(r"^\d{4}-\d{2}-\d{2}([ T].*)?$")
    dates = as_dates(cells.where(iso, ""))
    for line in cells.index[(cells != "") & dates.isna()]:
        text = f"expected an ISO date such as 2024-03-31 or 2024-03-31T14:05:00Z, got '{cells[line]}'"
        findings.append(Finding(int(line), str(cells.name), text))
    return dates


def _strains(table: pd.DataFrame) -> list[Finding]:
    if "strain" not in table:
        return []
    findings = []
    for name, lines in table.groupby("strain").groups.items():
        judged = judge_strain(str(name)) if name else None
        if judged is not None:
            more = f" (and {len(lines) - 1} lines more)" if len(lines) > 1 else ""
            findings.append(Finding(int(lines[0]), "strain", judged[1] + more, judged[0]))
    return findings


def _ages(table: pd.DataFrame) -> list[Finding]:
    """Fill age_days from the dates, and return what does not fit together."""
    findings: list[Finding] = []
    given = table["age_days"] if "age_days" in table else pd.Series(np.nan, table.index)
    if {"date_of_birth", "captured_at"} <= set(table):
        from_dates = (table["captured_at"] - table["date_of_birth"]).dt.total_seconds() / 86400
        for line in table.index[from_dates < 0]:
            text = (
                f"taken {-from_dates[line]:.0f} days before the animal's birth ({table.date_of_birth[line]:%Y-%m-%d})"
            )
            findings.append(Finding(int(line), "captured_at", text))
        for line in table.index[(given - from_dates).abs() > 2]:
            text = f"{given[line]:g} days, but date_of_birth and captured_at give {from_dates[line]:.0f}"
            findings.append(Finding(int(line), "age_days", text))
        given = given.fillna(from_dates.where(from_dates >= 0))
    table["age_days"] = given
    seen = {finding.line for finding in findings} | {0}
    for line in table.index[given.isna()]:
        if line not in seen:
            findings.append(Finding(int(line), "age_days", "no age, and no dates to reckon it from"))
    if "date_of_birth" in table:
        for subject, dates in table.groupby("subject")["date_of_birth"]:
            if subject and dates.nunique() > 1:
                line = dates.index[dates != dates.iloc[0]][0]
                findings.append(Finding(int(line), "date_of_birth", f"'{subject}' was born on another day before"))
    return findings
