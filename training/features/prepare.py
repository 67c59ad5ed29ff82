"""From a person's table to features, target and animals; every column that is left out is named with its reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.contract.tables.columns import Columns, fold
from edge.contract.tables.join import first_few
from edge.contract.tables.names import describe_near, natural
from edge.errors import OperatorError
from training.features.column import read_feature
from training.features.kinds import kinds_of, words_of
from training.features.read import read_columns, require_columns, say_missing

LEAST_ANIMALS = 5
MOST_LEVELS = 60
_AGE = re.compile(
    r"^((test|exam|scan|video|photo|image|capture|sample|animal|mouse|subject|chronological|true|real|actual|current)?"
    r"age(s?\d*|(at|in|group|s|w|wk|wks|weeks?|d|days?|m|mo|months?|y|years?)\w*)|dob|birth\w*|born)$"
)
DISGUISE = 0.98
"""Rank correlation with the target above which a column is taken for the target itself under another name."""
_ID = frozenset({"id", "ids", "index", "unnamed", "rfid", "uuid", "eartag", "filename", "file", "path", "row"})


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features (n rows; float64 columns, or text columns in `categories`), target float64 (n,), animals (n,) as text.

    lines: int (n,), the line of each row in the file. left_out: column to reason. warnings: sentences for people.
    kinds: what a feature is that knows more than looks (`training.features.kinds`), by its name.
    """

    features: pd.DataFrame
    categories: tuple[str, ...]
    target: NDArray[np.float64]
    animals: NDArray[np.object_]
    lines: NDArray[np.int64]
    name: str
    left_out: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)

    def without(self, names: Collection[str]) -> FeatureTable | None:
        """Return the table without some of its features; None where none is left."""
        rest = [name for name in self.features if name not in names]
        categories = tuple(name for name in self.categories if name not in names)
        return replace(self, features=self.features[rest], categories=categories, kinds={}) if rest else None


def prepare(path: Path, target: str, group: str, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> FeatureTable:
    """Return the table ready to fit.

    Columns that name an age or a birth (where the target is one), dates, identifiers, and columns that rank the lines
    as the target does are left out unless in `keep`.

    Raises:
        OperatorError: what is wrong, with file, line and column.
    """
    columns = read_columns(path)
    require_columns(columns.table.names, [target, group, *drop, *keep], path)
    if target == group:
        raise OperatorError(f"{path}: --target and --group both name '{target}'; the group is the animal's name")
    warnings: list[str] = list(columns.table.notes)
    words: dict[str, Counter[str]] = {}
    truth = _target(columns, target, warnings)
    named = pd.Series(columns.names(group).values, list(columns.table.lines), dtype=object)
    used = truth.notna()
    animals, truth = named[used], truth[used]
    if (animals == "").any():
        line = animals.index[animals == ""][0]
        raise OperatorError(f"{path}: line {line}, column '{group}': expected the animal's name, got an empty cell")
    without = sorted(set(named) - set(animals) - {""}, key=natural)
    if without:
        warnings.append(f"{len(without)} animals have no line with '{target}' (first: {first_few(without)})")
    count = animals.nunique()
    if count < LEAST_ANIMALS:
        counted = "all lines are of one animal" if count == 1 else f"{count} animals"
        raise OperatorError(f"{path}: column '{group}': expected at least {LEAST_ANIMALS} animals, got {counted}")
    if truth.nunique() == 1:
        raise OperatorError(f"{path}: column '{target}': constant, {truth.iloc[0]:g} in every line; nothing to learn")
    warnings += describe_near(animals)
    left_out: dict[str, str] = {}
    features: dict[str, pd.Series] = {}
    categories = []
    for name in (one for one in columns.table.names if one not in {target, group, *drop}):
        if fold(name) == "cage":
            warnings += describe_near(columns.names(name).values, "cage")
        column, reason = read_feature(columns, name, used, kept=name in keep, warnings=warnings, words=words)
        reason = reason or _unfit(column, name, animals, target, kept=name in keep)
        reason = reason or _disguised(column, truth, kept=name in keep)
        if reason:
            left_out[name] = reason
            continue
        features[name] = column
        if column.dtype == object:
            categories.append(name)
            warnings += [f"column '{name}': {text}" for text in describe_near(column.dropna(), "category")]
    if not features:
        why = "".join(f"; {name}: {reason}" for name, reason in left_out.items())
        raise OperatorError(f"{path}: expected columns to learn from, besides target and animal none is left{why}")
    warnings += say_missing({name: counts.items() for name, counts in words.items()})
    warnings += [f"column '{name}' is left out: {reason}" for name, reason in left_out.items()]
    warnings += _given_away(features, truth)
    kinds = kinds_of(features)
    warnings += [
        f"column '{name}' is {kind}, not a look: the report has the figure without it" for name, kind in kinds.items()
    ]
    if count < 30:
        warnings.append(f"{count} animals are few: expect figures that change much with the seed")
    return FeatureTable(
        features=pd.DataFrame(features).reset_index(drop=True),
        categories=tuple(categories),
        target=truth.to_numpy(),
        animals=animals.to_numpy(dtype=object),
        lines=truth.index.to_numpy(),
        name=target,
        left_out=left_out,
        warnings=tuple(warnings),
        kinds=kinds,
    )


def _target(columns: Columns, target: str, warnings: list[str]) -> pd.Series:
    found = columns.numbers(target)
    if all(found.missing):
        raise OperatorError(f"{columns.table.source}: column '{target}': no value in any line")
    cells = columns.table.column(target)
    infinite: list[int] = np.flatnonzero(np.isinf(found.values)).tolist()
    endless = [(index, f"expected a number, got {cells[index]}") for index in infinite]
    limits = [(index, f"expected a number, got '{cells[index]}', a limit") for index in found.limits]
    unclear: list[tuple[int, str]] = [] if found.question is None else [found.question]
    for index, text in sorted([*found.wrong, *endless, *limits]) or unclear:
        raise OperatorError(f"{columns.where(index, target)}: {text}")
    warnings += [f"column '{target}': {text}" for text in found.notes]
    lines = columns.table.lines
    without = [line for line, gone in zip(lines, found.missing, strict=True) if gone]
    if without:
        named = ", ".join(map(str, without[:5])) + (", ..." if len(without) > 5 else "")
        warnings.append(f"{len(without)} lines without '{target}' are left out (line {named})")
    return pd.Series(found.values, list(lines), name=target, dtype=float)


def _unfit(column: pd.Series, name: str, animals: pd.Series, target: str, *, kept: bool) -> str:
    """Return why a column is left out: a name, a running number, constant, an age; "" where it is used."""
    if column.dtype == object:
        levels = column.nunique()
        if levels > MOST_LEVELS or levels > 0.5 * len(column) or _names_animals(column, animals):
            return f"a name or identifier ({levels} different texts)"
    else:
        whole = bool((column.dropna() % 1 == 0).all())
        running = whole and len(column) > 20 and column.notna().all() and bool((column.diff().dropna() == 1).all())
        if not kept and (running or (whole and set(words_of(name)) & _ID)):
            return "a running number or identifier"
    if column.nunique() <= 1 and not (column.isna().any() and column.notna().any() and column.dtype != object):
        return "constant"
    if not kept and _looks_like_age(target) and _looks_like_age(name):
        return "its name says age or birth, as the target's does; --keep uses it"
    return ""


def _rank_correlation(column: pd.Series, truth: pd.Series) -> float:
    """Return the rank correlation of a column with the target, 0 where it is none of numbers or has too few of them."""
    there = column.notna()
    if column.dtype == object or there.sum() < 10 or min(column[there].nunique(), truth[there].nunique()) < 3:
        return 0.0
    return float(column.corr(truth, method="spearman"))


def _disguised(column: pd.Series, truth: pd.Series, *, kept: bool) -> str:
    """Return why a column counts as the target under another name; "" where it does not, or is to be kept."""
    r = 0.0 if kept else _rank_correlation(column, truth)
    if abs(r) <= DISGUISE:
        return ""
    return f"it ranks the lines as the target does (rank correlation {r:.3f}), the target in disguise; --keep uses it"


def _given_away(columns: dict[str, pd.Series], truth: pd.Series) -> list[str]:
    """Return warnings of columns that were kept although they alone nearly give the target."""
    found = {name: _rank_correlation(column, truth) for name, column in columns.items()}
    return [
        f"column '{name}' alone nearly gives the target (rank correlation {r:.3f}), and was kept"
        for name, r in found.items()
        if abs(r) > DISGUISE
    ]


def _looks_like_age(name: str) -> bool:
    return any(_AGE.match(word) for word in words_of(name))


def _names_animals(column: pd.Series, animals: pd.Series) -> bool:
    """Return whether the text tells animals one by one: nearly as many levels as animals, each of one animal."""
    levels, count = column.nunique(), animals.nunique()
    return bool(levels > 0.5 * count and levels > 3 and animals.groupby(column).nunique().max() <= 1)
