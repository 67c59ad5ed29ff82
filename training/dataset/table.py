"""The table of a dataset: DATASET/animals.csv, one line a picture, read and checked cell by cell."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from edge.contract.tables.columns import Columns, fold, nearest, with_known_names
from edge.contract.tables.dates import Dates
from edge.contract.tables.missing import describe_words
from edge.contract.tables.names import describe_near
from edge.contract.tables.numbers import Numbers
from edge.contract.tables.read import read_table
from edge.errors import OperatorError
from training.crops.table import NUMBERS, TEXT, complete
from training.dataset.finding import Finding
from training.dataset.strains import judge_strain

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
_NAMED = {
    "subject": "animal",
    "cage": "cage",
    "treatment": "arm",
    "strain": "strain",
    "site": "site",
    "camera": "camera",
}
"""Columns of names, and what each name is one of: written in two ways it would count as two."""
_CHOICES = {"sex": ("M", "F", "U", "O"), "light": ("white", "infrared")}
_AGE = re.compile(r"(?:[a-z]+_)?(?:age|alter)(?:_in)?_?(?P<unit>days?|d|weeks?|wks?|w|months?|mo|m|years?|yrs?|y)?")
_UNITS = {"w": ("weeks", 7.0), "m": ("months", 30.4), "y": ("years", 365.0)}
_LIFESPAN_DAYS = {
    "": 800, "AKR/J": 270, "SAMP8/TaHsd": 300, "SJL/J": 400, "A/J": 650, "FVB/NJ": 750, "NZO/HlLtJ": 500,
}  # fmt: skip
"""Median lifespans, days: Yuan et al., Aging Cell 8 (2009) 277-287, rounded; "" for what is not among them."""
_EARLY = 0.12
"""A study of ageing whose median age is less than this part of a lifespan has another unit, or young animals only."""
_ALIASES = {"male": "M", "female": "F", "m": "M", "f": "F", "u": "U", "o": "O", "ir": "infrared", "": ""}


def read_animals(dataset: Path) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the table with typed columns (index: line in the file) and what is wrong with its cells.

    Age comes from date_of_birth and captured_at where it is not given. A cell that is wrong is missing in the table.

    Raises:
        OperatorError: no table, or none that can be read: empty, without the columns picture and subject.
    """
    path = dataset / TABLE if dataset.is_dir() else dataset
    columns = Columns(with_known_names(read_table(path), NAMES))
    findings = [Finding(0, "", text, "warning") for text in columns.table.notes]
    findings += _check_names(columns.table.names, path)
    lines = list(columns.table.lines)
    table = pd.DataFrame(index=lines)
    refused: set[int] = set()
    for name in columns.table.names:
        names = columns.names(name)
        if not any(names.values):
            findings.append(Finding(0, name, "no value in any line; fill it or take the column out"))
        if name in DATES:
            dates = columns.dates(name)
            table[name] = _dates(dates, name, lines, findings)
            cells = zip(lines, dates.values, dates.missing, strict=True)
            refused |= {line for line, value, missing in cells if value is None and not missing}
        elif name in NUMBERS or name in EXTRA_NUMBERS or name.startswith(ITEM):
            table[name] = _numbers(columns, name, findings)
        else:
            table[name] = pd.Series(names.values, lines, dtype=object)
            _say_missing(names.words, name, findings)
    table["picture"] = [_picture(cell, path.parent) for cell in table["picture"]]
    for what, called in _NAMED.items():
        if what in table:
            near = describe_near(table[what], called)
            findings += [Finding(0, what, text, "warning") for text in near]
    for name, choices in _CHOICES.items():
        if name in table:
            table[name] = table[name].map(lambda text: _ALIASES.get(text.lower(), text))
            for line, text in table[name][(table[name] != "") & ~table[name].isin(choices)].items():
                findings.append(Finding(int(line), name, f"expected one of {', '.join(choices)}, got '{text}'"))
    for name in ("picture", "subject"):
        findings += [Finding(int(line), name, "is empty") for line in table.index[table[name] == ""]]
    findings += _not_labelled(table)
    refused |= {finding.line for finding in findings if finding.column == "age_days"}
    findings += _strains(table) + _in_other_units(table) + _ages(table, refused)
    lines = table.index
    table = complete(table)
    table.index = lines
    return table, findings


def _check_names(names: tuple[str, ...], path: Path) -> list[Finding]:
    for name in ("picture", "subject"):
        if name not in names:
            near = nearest(name, names)
            hint = f"; did you mean '{near}' by it? Rename it" if near else f"; columns: {', '.join(names[:12])}"
            raise OperatorError(f"{path}: there is no column '{name}'{hint}; see docs/datasets.md")
    findings = []
    for name in names:
        if name not in NAMES and not name.startswith(ITEM):
            near = nearest(name, [one for one in NAMES if one not in names], 0.75)
            if near:
                findings.append(Finding(0, name, f"unknown; did you mean '{near}'?"))
    if "age_days" not in names and not {"date_of_birth", "captured_at"} <= set(names):
        text = "expected a column age_days, or date_of_birth and captured_at"
        likely = next(((name, found) for name in names if (found := _AGE.fullmatch(fold(name)))), None)
        if likely is not None:
            unit, days = _UNITS.get((likely[1]["unit"] or "d")[0], ("", 1))
            how = f"write its {unit} in days (1 of them is {days:g})" if unit else "if it is in days, do no more than"
            text += f"; '{likely[0]}' is likely the age: {how}{' and' if unit else ''} name it age_days"
        findings.append(Finding(0, "age_days", text))
    return findings


def _numbers(columns: Columns, name: str, findings: list[Finding]) -> pd.Series:
    """Return the column as float64, NaN where missing or wrong; what is wrong, or was decided, goes to `findings`."""
    found, lines, cells = columns.numbers(name), columns.table.lines, columns.table.column(name)
    low, high = _RANGES.get(name, (0.0, 1.0) if name.startswith(ITEM) else (-1e6, 1e6))
    wrong = dict(found.wrong) | {index: f"expected a number, got '{cells[index]}', a limit" for index in found.limits}
    for index, value in enumerate(found.values):
        if name == "age_days" and value < 0:
            wrong[index] = f"the age lies before the birth: {cells[index]}"
        elif (not (low <= value <= high) and not np.isnan(value)) or index in wrong:
            wrong[index] = f"expected a number from {low:g} to {high:g}, got '{cells[index]}'"
    findings += [Finding(lines[index], name, text) for index, text in wrong.items()]
    _say(found, name, lines, findings)
    values = [np.nan if index in wrong else value for index, value in enumerate(found.values)]
    return pd.Series(values, list(lines), name=name, dtype=float)


def _dates(found: Dates, name: str, lines: list[int], findings: list[Finding]) -> pd.Series:
    """Return the column as UTC datetimes, NaT where missing or wrong; as `_numbers` otherwise."""
    findings += [Finding(lines[index], name, text) for index, text in found.wrong]
    _say(found, name, lines, findings)
    return pd.Series(pd.to_datetime(list(found.values), utc=True), lines, name=name)


def _say(found: Numbers | Dates, name: str, lines: Sequence[int], findings: list[Finding]) -> None:
    if found.question is not None:
        findings.append(Finding(lines[found.question[0]], name, found.question[1]))
    findings += [Finding(0, name, text, "warning") for text in found.notes]
    _say_missing(found.words, name, findings)


def _say_missing(words: Counter[str], name: str, findings: list[Finding]) -> None:
    if words:
        findings.append(Finding(0, name, f"{describe_words(words)} count as missing", "note"))


def _picture(cell: str, folder: Path) -> str:
    """Return the picture's path in one form: a Windows path's backslashes, and ./ before it, are no other file."""
    if "\\" in cell and not (folder / cell).is_file():
        cell = cell.replace("\\", "/")
    return posixpath.normpath(cell) if cell else cell


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


def _not_labelled(table: pd.DataFrame) -> list[Finding]:
    """Return body parts at (0, 0), which other tools write for what is not labelled; they are missing in the table."""
    findings = []
    for part in ("snout", "tail_base"):
        x, y = f"{part}_x", f"{part}_y"
        if {x, y} <= set(table):
            lines = table.index[(table[x] == 0) & (table[y] == 0)]
            text = "(0, 0) is what other tools write for a part that is not labelled; leave both cells empty"
            findings += [Finding(int(line), x, text) for line in lines]
            table.loc[lines, [x, y]] = np.nan
    return findings


def _in_other_units(table: pd.DataFrame) -> list[Finding]:
    """Return a warning for each strain whose ages are those of mice that have only begun to live: weeks, or months?"""
    findings = []
    if "age_days" in table:
        strains = table["strain"] if "strain" in table else pd.Series("", table.index)
        for strain, ages in table["age_days"].dropna().groupby(strains):
            lifespan, middle = _LIFESPAN_DAYS.get(str(strain), _LIFESPAN_DAYS[""]), float(ages.median())
            if middle < _EARLY * lifespan:
                of = f" of {strain}" if strain else ""
                text = (
                    f"the median{of} is {middle:.3g} days, and such mice live about {lifespan}: are these weeks or "
                    "months? Write days (7 a week, 30.4 a month)"
                )
                findings.append(Finding(0, "age_days", text, "warning"))
    return findings


def _ages(table: pd.DataFrame, refused: set[int]) -> list[Finding]:
    """Fill age_days from the dates, and return what does not fit together. refused: lines whose dates or age were."""
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
    seen = {finding.line for finding in findings} | refused | {0}
    for line in table.index[given.isna()]:
        if line not in seen:
            findings.append(Finding(int(line), "age_days", "no age, and no dates to reckon it from"))
    if "date_of_birth" in table:
        for subject, dates in table.groupby("subject")["date_of_birth"]:
            if subject and dates.nunique() > 1:
                line = dates.index[dates != dates.iloc[0]][0]
                findings.append(Finding(int(line), "date_of_birth", f"'{subject}' was born on another day before"))
    return findings
