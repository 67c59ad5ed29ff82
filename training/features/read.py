"""A table as a person keeps it (CSV of any dialect), as strings with the file's own line numbers."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from edge.errors import OperatorError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "--", ".", "?", "nd", "n.d.", "#n/a", "missing"})
_DECIMAL_COMMA = re.compile(r"^[+-]?\d+,\d+([eE][+-]?\d+)?$")
_TRUE, _FALSE = frozenset({"true", "yes", "y", "t"}), frozenset({"false", "no", "n", "f"})


def read_table(path: Path) -> pd.DataFrame:
    """Return the file's cells as stripped text; the index is the line in the file, missing values are "".

    Comma, semicolon or tab between cells, with or without a byte-order mark, UTF-8 or Latin-1.

    Raises:
        OperatorError: missing, empty, a line with too many or too few cells, or a column name that is there twice.
    """
    if not path.is_file():
        raise OperatorError(f"{path}: expected a CSV table, there is none")
    content = path.read_bytes()
    if b"\0" in content[:4096]:
        raise OperatorError(f"{path}: expected a CSV table as text, got a binary file; save it as CSV")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    if not lines:
        raise OperatorError(f"{path}: the table is empty; expected a line of column names and a line a reading")
    header = [name or f"unnamed_{number}" for number, name in enumerate(lines[0][1], 1)]
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise OperatorError(f"{path}: column '{twice[0]}' is there {header.count(twice[0])} times; rename all but one")
    if len(lines) == 1:
        raise OperatorError(f"{path}: the table is empty: column names, but no line below them")
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise OperatorError(f"{path}: line {number}: expected {len(header)} cells, got {len(row)}")
    table = pd.DataFrame([row for _, row in lines[1:]], columns=header, index=[number for number, _ in lines[1:]])
    return table.apply(lambda column: column.where(~column.str.lower().isin(MISSING), ""))


def require_columns(table: pd.DataFrame, names: Sequence[str], path: Path) -> None:
    """Raise an OperatorError naming the first column that is not there, with the nearest name that is."""
    for name in names:
        if name not in table:
            lower = {str(column).lower(): str(column) for column in table}
            near = difflib.get_close_matches(name.lower(), list(lower), n=1, cutoff=0.5)
            hint = f"; did you mean '{lower[near[0]]}'?" if near else f"; columns: {', '.join(list(table)[:12])}"
            raise OperatorError(f"{path}: there is no column '{name}'{hint}")


def as_numbers(cells: pd.Series) -> pd.Series:
    """Return float64 of the cells, NaN where a cell is missing or no number; decimal commas and yes/no are read.

    A decimal comma counts only where every cell with a comma has the form 12,5: else 1,234 could be a thousand.
    """
    text = cells.astype(str)
    commas = text[text.str.contains(",", regex=False)]
    if len(commas) and commas.str.match(_DECIMAL_COMMA).all():
        text = text.str.replace(",", ".", regex=False)
    lower = text.str.lower()
    present = lower[lower != ""]
    if len(present) and present.isin(_TRUE | _FALSE).all():
        return pd.Series(np.where(lower.isin(_TRUE), 1.0, np.where(lower.isin(_FALSE), 0.0, np.nan)), cells.index)
    return pd.to_numeric(text.where(text != "", None), errors="coerce").astype(float)


def as_dates(cells: pd.Series) -> pd.Series:
    """Return UTC datetimes of the cells, NaT where a cell is no date; plain numbers are no dates."""
    plausible = cells.astype(str).str.match(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?$")
    return pd.to_datetime(cells.where(plausible, None), errors="coerce", utc=True, format="mixed")
