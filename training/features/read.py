"""The project's one reader of tables (edge.contract.tables) as pandas has it: cells, names, numbers and dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from edge.contract.tables.columns import Columns, nearest
from edge.contract.tables.missing import describe_words
from edge.contract.tables.read import read_table as read_cells
from edge.errors import OperatorError

_TRUE, _FALSE = frozenset({"true", "yes", "y", "t", "wahr"}), frozenset({"false", "no", "n", "f", "falsch"})


def read_columns(path: Path) -> Columns:
    """Return the file's columns, still text.

    Raises:
        OperatorError: as `edge.contract.tables.read.read_table`.
    """
    return Columns(read_cells(path))


def frame(columns: Columns) -> pd.DataFrame:
    """Return all columns as names: text, missing values ""; the index is the line in the file."""
    found = {name: columns.names(name).values for name in columns.table.names}
    return pd.DataFrame(found, index=list(columns.table.lines), dtype=object)


def read_table(path: Path) -> pd.DataFrame:
    """Return the file's columns as names; see `frame` and `read_columns`."""
    return frame(read_columns(path))


def require_columns(table: Iterable[str], names: Sequence[str], path: Path) -> None:
    """Raise an OperatorError naming the first column that is not there, with the nearest name that is."""
    there = [str(name) for name in table]
    for name in names:
        if name not in there:
            near = nearest(name, there)
            hint = f"; did you mean '{near}'?" if near else f"; columns: {', '.join(there[:12])}"
            raise OperatorError(f"{path}: there is no column '{name}'{hint}")


def as_booleans(columns: Columns, name: str) -> pd.Series | None:
    """Return 1, 0 or NaN of a column of true and false, yes and no; None where it holds anything else."""
    lower = [cell.lower() for cell in columns.names(name).values]
    if not any(lower) or not set(lower) - {""} <= _TRUE | _FALSE:
        return None
    values = [1.0 if cell in _TRUE else 0.0 if cell in _FALSE else np.nan for cell in lower]
    return pd.Series(values, list(columns.table.lines), name=name)


def say_missing(words: Mapping[str, Iterable[tuple[str, int]]]) -> list[str]:
    """Return one sentence on the words that count as missing: {column: ((word, count), ...)}; none where none stood."""
    from collections import Counter

    total: Counter[str] = Counter()
    named = []
    for name, counts in words.items():
        counted = Counter(dict(counts))
        total += counted
        if counted:
            named.append(f"'{name}'")
    if not total:
        return []
    where = ", ".join(named[:6]) + (", ..." if len(named) > 6 else "")
    return [f"{describe_words(total)} count as missing (column{'s' if len(named) > 1 else ''} {where})"]
