"""A table of readings or animals for the statistics: numbers as numbers, names as text, lines of the file kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from edge.contract.tables.columns import Columns, with_known_names
from edge.contract.tables.numbers import read_numbers
from edge.contract.tables.read import read_table as read_cells
from edge.errors import OperatorError
from training.features.read import say_missing

LINE = "_line"
"""Column with the row's line in the file, for messages; it stays with a row through joins."""
KNOWN = ("subject", "cage", "sex", "age_days", "predicted_days", "accepted", "estimate_days", "captured_at",
         "date_of_birth", "arm", "treatment", "site", "camera", "cohort")  # fmt: skip
_NAMES = ("subject", "cage", "sex", "site", "camera", "cohort")
MOSTLY = 0.5


def read_table(path: Path) -> pd.DataFrame:
    """Return a table's rows with a column LINE: numbers int64 or float64, names object with NaN where missing.

    attrs["unclear"]: column to a sentence, where numbers can be read two ways or some cells are none; such a column is
    text. attrs["notes"]: sentences on what was decided while reading.

    Raises:
        OperatorError: there is none, it is no table, or it has no rows.
    """
    table = with_known_names(read_cells(path), KNOWN)
    columns = Columns(table)
    found: dict[str, object] = {}
    unclear: dict[str, str] = {}
    notes = list(table.notes)
    words = {}
    for name in table.names:
        numbers = columns.numbers(name)
        if name not in _NAMES and numbers.question is not None:
            index, text = numbers.question
            unclear[name] = f"row {table.lines[index]}, column {name}: {text}"
        elif name not in _NAMES and numbers.wrong and numbers.share > MOSTLY:
            index, text = numbers.wrong[0]
            unclear[name] = f"row {table.lines[index]}, column {name}: {text}"
        elif name not in _NAMES and numbers.share == 1:
            found[name] = _typed(numbers.values)
            notes += [f"column {name}: {text}" for text in numbers.notes]
            words[name] = numbers.words.items()
            continue
        names = columns.names(name)
        words[name] = names.words.items()
        found[name] = pd.Series([cell or None for cell in names.values], dtype=object).where(lambda one: one.notna())
    result = pd.DataFrame(found)
    result[LINE] = list(table.lines)
    result.attrs["unclear"] = unclear
    result.attrs["notes"] = [f"{path.name}: {text}" for text in [*notes, *say_missing(words)]]
    return result


def column(table: pd.DataFrame, name: str, path: Path | str) -> pd.Series:
    """Return a column.

    Raises:
        OperatorError: there is none of this name, or all its values are missing.
    """
    if name not in table:
        there = ", ".join(str(one) for one in table.columns if not str(one).startswith("_"))
        raise OperatorError(f"{path}: column {name}: there is none; columns are {there}")
    if table[name].isna().all():
        raise OperatorError(f"{path}: column {name}: expected values, all {len(table)} rows are empty")
    return table[name]


def numbers(table: pd.DataFrame, name: str, path: Path | str) -> pd.Series:
    """Return a column as float64.

    Raises:
        OperatorError: as `column`, or a value is no finite number or can be read two ways (row: the line in the file).
    """
    values = column(table, name, path)
    refuse_unclear(table, name, path)
    if pd.api.types.is_numeric_dtype(values):
        found = values.astype(float)
        wrong = [
            (int(index), f"expected a number, got {values.iloc[index]}") for index in np.flatnonzero(np.isinf(found))
        ]
    else:
        read = read_numbers(["" if pd.isna(value) else str(value) for value in values], name)
        found = pd.Series(read.values, values.index, dtype=float)
        wrong = [*read.wrong, *([read.question] if read.question is not None else [])]
    for index, text in wrong[:1]:
        raise OperatorError(f"{path}: row {line_of(table, index)}, column {name}: {text}")
    return found


def refuse_unclear(table: pd.DataFrame, name: str, path: Path | str) -> None:
    """Raise OperatorError where a column that serves as numbers has cells that are none, or can be read two ways."""
    unclear = table.attrs.get("unclear", {})
    if name in unclear:
        raise OperatorError(f"{path}: {unclear[name]}")


def line_of(table: pd.DataFrame, position: int) -> int:
    """Return the line in the file of a row by its position."""
    return int(table[LINE].iloc[position]) if LINE in table else position + 2


def as_labels(values: pd.Series) -> pd.Series:
    """Return the values as text, "" where missing; arm 1 is "1", whether or not another animal has none."""
    if not pd.api.types.is_numeric_dtype(values):
        return values.fillna("").astype(str)
    return values.map(lambda value: "" if pd.isna(value) else f"{value:.15g}").astype(object)


def _typed(values: tuple[float, ...]) -> pd.Series:
    """Return int64 where all are whole numbers and none is missing, else float64."""
    found = np.array(values, float)
    whole = bool(np.isfinite(found).all() and (found == np.round(found)).all() and (np.abs(found) < 2**53).all())
    return pd.Series(found.astype(np.int64) if whole else found)
