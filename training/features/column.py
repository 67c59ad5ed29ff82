"""One column of a person's table as a feature: numbers, dates or names; what is neither is left out with its reason."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pandas as pd

from edge.contract.tables.columns import Columns
from edge.errors import OperatorError
from training.features.read import as_booleans

NEARLY_ALL = 0.95
"""Share of cells above which a column is one of numbers (or dates), and the others are its missing values."""
MOSTLY = 0.5
"""Share above which it is no column of names either."""
SOME = 0.2
_SERIAL_DAYS = (20_000, 80_000)
_DATE = re.compile(r"(^|[^a-z])(date|dates|datum|dob|born|birth|geburt)", re.IGNORECASE)
_A_DATE = "a date: with the date of birth it is the age itself, without it it may stand for a cohort"


def read_feature(
    columns: Columns, name: str, used: pd.Series, *, kept: bool, warnings: list[str], words: dict[str, Counter[str]]
) -> tuple[pd.Series, str]:
    """Return the column in the lines that are used (bool by line), and why it is left out ("" where it is not).

    Numbers float64, NaN where missing; dates in days since 1970; names object, None where missing.

    Raises:
        OperatorError: no value in any line, or a number or date that can be read two ways.
    """
    lines = used.index
    names = columns.names(name)
    text = pd.Series(names.values, lines, dtype=object)[used]
    if (text == "").all():
        raise OperatorError(
            f"{columns.table.source}: column '{name}': no value in any line; take it out with --drop {name}"
        )
    booleans = as_booleans(columns, name)
    if booleans is not None:
        return booleans[used], ""
    dates = columns.dates(name)
    numbers = columns.numbers(name)
    if dates.share > max(MOSTLY, numbers.share):
        return _dates(columns, name, used, kept=kept, warnings=warnings)
    if numbers.share > NEARLY_ALL:
        words[name] = numbers.words
        if not kept and _is_serial(numbers.values, name):
            return text, f"a spreadsheet's serial numbers of dates; {_A_DATE}"
        return _numbers(columns, name, used, warnings)
    if numbers.share > MOSTLY and not kept:
        index, why = numbers.wrong[0]
        return text, (
            f"{numbers.share:.0%} of its cells are numbers, the others are not (line {lines[index]}: {why}); mend "
            "them, or --keep uses it as names"
        )
    if numbers.share > SOME:
        warnings.append(f"column '{name}' is read as names, though {numbers.share:.0%} of its cells are numbers")
    words[name] = names.words
    return text.where(text != "", None), ""


def _numbers(columns: Columns, name: str, used: pd.Series, warnings: list[str]) -> tuple[pd.Series, str]:
    found = columns.numbers(name)
    if found.question is not None:
        index, text = found.question
        raise OperatorError(f"{columns.where(index, name)}: {text}; or take the column out with --drop {name}")
    warnings += [f"column '{name}': {text}" for text in found.notes]
    column = pd.Series(found.values, used.index, dtype=float)
    wrong = [index for index, _ in found.wrong if used.iloc[index]]
    if wrong:
        why = dict(found.wrong)[wrong[0]]
        warnings.append(
            f"line {used.index[wrong[0]]}, column '{name}': {why}; taken as missing, with {len(wrong) - 1} more"
        )
    column = column[used]
    endless = np.isinf(column)
    if endless.any():
        sentence = f"column '{name}': {int(endless.sum())} infinite values (first in line {column.index[endless][0]})"
        warnings.append(f"{sentence}, taken as missing")
        column = column.where(~endless)
    return column, "no finite value" if column.isna().all() else ""


def _dates(columns: Columns, name: str, used: pd.Series, *, kept: bool, warnings: list[str]) -> tuple[pd.Series, str]:
    """Return days since 1970 where the column is kept: a date is the age itself, or stands for a cohort."""
    found = columns.dates(name)
    days = pd.Series(
        [np.nan if value is None else value.timestamp() / 86400 for value in found.values], used.index, dtype=float
    )
    if not kept:
        return days[used], _A_DATE
    if found.question is not None:
        raise OperatorError(f"{columns.where(found.question[0], name)}: {found.question[1]}")
    warnings += [f"column '{name}': {text}" for text in found.notes]
    if found.wrong:
        index, why = found.wrong[0]
        sentence = f"line {used.index[index]}, column '{name}': {why}"
        if found.share <= NEARLY_ALL:
            raise OperatorError(
                f"{columns.table.source}: {sentence}; expected dates, {found.share:.0%} of the cells are"
            )
        warnings.append(f"{sentence}; taken as missing, with {len(found.wrong) - 1} more")
    return days[used], ""


def _is_serial(values: tuple[float, ...], name: str) -> bool:
    there = [value for value in values if not np.isnan(value)]
    return bool(there) and bool(_DATE.search(name)) and all(_SERIAL_DAYS[0] < one < _SERIAL_DAYS[1] for one in there)
