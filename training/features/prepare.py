"""From a person's table to features, target and animals; every column that is left out is named with its reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.errors import OperatorError
from training.features.read import as_dates, as_numbers, read_table, require_columns

LEAST_ANIMALS = 5
MOST_LEVELS = 60
_AGE = re.compile(r"^(ages?|age(at|in|group|s|w|wk|wks|weeks?|d|days?|m|mo|months?|y|years?)\w*|dob|birth\w*|born)$")
_ID = frozenset({"id", "ids", "index", "unnamed", "rfid", "uuid", "eartag", "filename", "file", "path", "row"})


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features (n rows; float64 columns, or text columns in `categories`), target float64 (n,), animals (n,) as text.

    lines: int (n,), the line of each row in the file. left_out: column to reason. warnings: sentences for people.
    """

    features: pd.DataFrame
    categories: tuple[str, ...]
    target: NDArray[np.float64]
    animals: NDArray[np.object_]
    lines: NDArray[np.int64]
    name: str
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def prepare(path: Path, target: str, group: str, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> FeatureTable:
    """Return the table ready to fit.

    Columns that name an age or a birth (where the target is one), dates and identifiers are left out unless in `keep`.

    Raises:
        OperatorError: what is wrong, with file, line and column.
    """
    table = read_table(path)
    require_columns(table, [target, group, *drop, *keep], path)
    if target == group:
        raise OperatorError(f"{path}: --target and --group both name '{target}'; the group is the animal's name")
    warnings: list[str] = []
    truth = _target(table, target, path, warnings)
    table, truth = table[truth.notna()], truth[truth.notna()]
    animals = table[group]
    if (animals == "").any():
        line = animals.index[animals == ""][0]
        raise OperatorError(f"{path}: line {line}, column '{group}': expected the animal's name, got an empty cell")
    count = animals.nunique()
    if count < LEAST_ANIMALS:
        said = "all lines are of one animal" if count == 1 else f"{count} animals"
        raise OperatorError(f"{path}: column '{group}': expected at least {LEAST_ANIMALS} animals, got {said}")
    if truth.nunique() == 1:
        raise OperatorError(f"{path}: column '{target}': constant, {truth.iloc[0]:g} in every line; nothing to learn")
    left_out: dict[str, str] = {}
    columns: dict[str, pd.Series] = {}
    categories = []
    for name in table.columns.difference([target, group, *drop], sort=False):
        cells = table[name]
        if (cells == "").all():
            raise OperatorError(f"{path}: column '{name}': no value in any line; take it out with --drop {name}")
        column, reason = _column(cells, animals, truth, target, kept=name in keep, path=path, warnings=warnings)
        if reason:
            left_out[name] = reason
            continue
        columns[name] = column
        if column.dtype == object:
            categories.append(name)
    if not columns:
        why = "".join(f"; {name}: {reason}" for name, reason in left_out.items())
        raise OperatorError(f"{path}: expected columns to learn from, besides target and animal none is left{why}")
    warnings += [f"column '{name}' is left out: {reason}" for name, reason in left_out.items()]
    warnings += _suspects(columns, truth, categories)
    if count < 30:
        warnings.append(f"{count} animals are few: expect figures that change much with the seed")
    return FeatureTable(
        features=pd.DataFrame(columns).reset_index(drop=True),
        categories=tuple(categories),
        target=truth.to_numpy(),
        animals=animals.to_numpy(dtype=object),
        lines=table.index.to_numpy(),
        name=target,
        left_out=left_out,
        warnings=tuple(warnings),
    )


def _target(table: pd.DataFrame, target: str, path: Path, warnings: list[str]) -> pd.Series:
    cells = table[target]
    if (cells == "").all():
        raise OperatorError(f"{path}: column '{target}': no value in any line")
    truth = as_numbers(cells)
    wrong = cells[(cells != "") & ~np.isfinite(truth)]
    if len(wrong):
        raise OperatorError(f"{path}: line {wrong.index[0]}, column '{target}': expected a number, got {wrong.iloc[0]}")
    without = cells.index[cells == ""]
    if len(without):
        named = ", ".join(map(str, without[:5])) + (", ..." if len(without) > 5 else "")
        warnings.append(f"{len(without)} lines without '{target}' are left out (line {named})")
    return truth


def _column(
    cells: pd.Series,
    animals: pd.Series,
    truth: pd.Series,
    target: str,
    *,
    kept: bool,
    path: Path,
    warnings: list[str],
) -> tuple[pd.Series, str]:
    """Return the column as numbers or text, and why it is left out ("" where it is used)."""
    name, present = str(cells.name), cells != ""
    words = _words(name)
    numbers = as_numbers(cells)
    strange = present & numbers.isna()
    if strange.sum() > 0.05 * present.sum() or strange.all():
        dates = as_dates(cells)
        if dates.notna().sum() > 0.95 * present.sum():
            if not kept:
                return (
                    cells,
                    "a date: with the date of birth it is the age itself, without it it may stand for a cohort",
                )
            days = (dates - pd.Timestamp("1970-01-01", tz="UTC")).dt.total_seconds() / 86400
            return days.astype(float), ""
        column: pd.Series = cells.where(present, None).astype(object)
        levels = column.nunique()
        if levels > MOST_LEVELS or levels > 0.5 * len(cells) or _names_animals(column, animals):
            return column, f"a name or identifier ({levels} different texts)"
    else:
        column = numbers
        if strange.any():
            line = cells.index[strange][0]
            warnings.append(
                f"line {line}, column '{name}': expected a number, got {cells[line]}; taken as missing, "
                f"with {int(strange.sum()) - 1} more"
            )
        if np.isinf(column).any():
            count, line = int(np.isinf(column).sum()), cells.index[np.isinf(column)][0]
            warnings.append(f"column '{name}': {count} infinite values (first in line {line}), taken as missing")
            column = column.where(np.isfinite(column))
            if column.isna().all():
                return column, "no finite value"
        whole = bool((column.dropna() % 1 == 0).all())
        running = whole and len(column) > 20 and column.notna().all() and bool((column.diff().dropna() == 1).all())
        if not kept and (running or (whole and words & _ID)):
            return column, "a running number or identifier"
    if column.nunique() <= 1 and not (column.isna().any() and column.notna().any() and column.dtype != object):
        return column, "constant"
    if not kept and _looks_like_age(target) and _looks_like_age(name):
        return column, "its name says age or birth, as the target's does; --keep uses it"
    return column, ""


def _suspects(columns: dict[str, pd.Series], truth: pd.Series, categories: Sequence[str]) -> list[str]:
    """Return warnings of columns that alone nearly give the target: an age in disguise, perhaps."""
    found = []
    for name, column in columns.items():
        there = column.notna()
        if name in categories or there.sum() < 10 or min(column[there].nunique(), truth[there].nunique()) < 2:
            continue
        r = column.corr(truth, method="spearman")
        if abs(r) > 0.98:
            found.append(f"column '{name}' alone nearly gives the target (rank correlation {r:.3f}): is it a leak?")
    return found


def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return {word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word}


def _looks_like_age(name: str) -> bool:
    return any(_AGE.match(word) for word in _words(name))


def _names_animals(column: pd.Series, animals: pd.Series) -> bool:
    """Return whether the text tells animals one by one: nearly as many levels as animals, each of one animal."""
    levels, count = column.nunique(), animals.nunique()
    return bool(levels > 0.5 * count and levels > 3 and animals.groupby(column).nunique().max() <= 1)
