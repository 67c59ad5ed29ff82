"""A column as numbers: its decimal sign by evidence in the column, else in the file; else a question, not a guess."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge.contract.tables.missing import is_missing
from edge.contract.tables.number import Cell, read_cell

Signs = frozenset[str]
"""The decimal signs that cells of a file prove: "." or "," or both or none."""
_PLAIN = frozenset("0123456789+-.eE")
_DOUBTFUL_POINT = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_ALIKE = {
    **dict.fromkeys(("d", "day", "days"), "days"),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), "weeks"),
    **dict.fromkeys(("mo", "month", "months"), "months"),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), "years"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("g", "gr", "gram", "grams", "gramm"), "g"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
}
_OF_NAMES = frozenset({*_ALIKE.values(), "kg", "mg", "mm", "cm", "ml", "min", "px"})
"""Units that the last word of a column's name may say; another one in the cells contradicts it."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """values: float, NaN where missing or wrong. missing: bool a cell. wrong: (index, sentence) of what is no number.

    words: how often each missing word stood there. notes: what was decided. question: what cannot be decided, with the
    index of the first cell concerned; then the cells concerned are NaN.
    """

    values: tuple[float, ...]
    missing: tuple[bool, ...]
    wrong: tuple[tuple[int, str], ...] = ()
    words: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
    question: tuple[int, str] | None = None
    limits: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        """Return which share of the cells that are not missing are numbers, or would be but for the question."""
        present = len(self.missing) - sum(self.missing)
        return 1 - len(self.wrong) / present if present else 0.0


def read_numbers(
    cells: Sequence[str], name: str = "", delimiter: str = ",", signs: Callable[[], Signs] = frozenset
) -> Numbers:
    """Return the cells of a column as numbers.

    signs: which decimal signs the file's other columns prove; asked only where the column itself does not say.
    """
    fast = _read_plain(cells)
    if fast is not None:
        return Numbers(fast, tuple(not cell for cell in cells))
    missing = tuple(is_missing(cell, number=True) for cell in cells)
    words = Counter(cell for cell, gone in zip(cells, missing, strict=True) if gone and cell)
    found = [None if gone else read_cell(cell) for cell, gone in zip(cells, missing, strict=True)]
    wrong = {
        index: f"expected a number, got '{cells[index]}'"
        for index, (cell, gone) in enumerate(zip(found, missing, strict=True))
        if cell is None and not gone
    }
    good = {index: cell for index, cell in enumerate(found) if cell is not None}
    notes: list[str] = []
    contradiction = _check_units(good, cells, name, wrong, notes)
    good = {index: cell for index, cell in good.items() if index not in wrong}
    sign, question = _decimal_sign(good, cells, delimiter, signs, notes)
    values = [math.nan] * len(cells)
    for index, cell in good.items():
        if cell.open and question is not None:
            continue
        first, second = (cell.comma, cell.point) if sign == "," else (cell.point, cell.comma)
        value = first if first is not None else second
        values[index] = math.nan if value is None else value
    limits = tuple(index for index, cell in good.items() if cell.limit)
    if limits:
        first_cell = cells[limits[0]]
        notes.append(
            f"{len(limits)} of {len(good)} values are limits such as '{first_cell}', taken as the limit itself"
        )
    return Numbers(
        tuple(values), missing, tuple(sorted(wrong.items())), words, tuple(notes), question or contradiction, limits
    )


def proven_signs(cells: Sequence[str]) -> Signs:
    """Return the decimal signs that a column of numbers proves; none where any cell is no number."""
    found = set()
    for cell in cells:
        if is_missing(cell, number=True):
            continue
        read = read_cell(cell)
        if read is None:
            return frozenset()
        if read.marked and (read.point is None) != (read.comma is None):
            found.add("," if read.point is None else ".")
    return frozenset(found)


def _read_plain(cells: Sequence[str]) -> tuple[float, ...] | None:
    """Return the values where all are empty or plain numbers with a certain decimal point: most columns, fast."""
    if not set("".join(cells)) <= _PLAIN:
        return None
    marked = [cell for cell in cells if "." in cell]
    if marked and all(_DOUBTFUL_POINT.fullmatch(cell) for cell in marked):
        return None
    try:
        values = tuple(float(cell) if cell else math.nan for cell in cells)
    except ValueError:
        return None
    return None if any(map(math.isinf, values)) else values


def _decimal_sign(
    good: dict[int, Cell], cells: Sequence[str], delimiter: str, signs: Callable[[], Signs], notes: list[str]
) -> tuple[str, tuple[int, str] | None]:
    """Return the column's decimal sign, and the question where both are possible."""
    proof = {"." if cell.comma is None else ",": index for index, cell in good.items()
             if cell.marked and (cell.point is None) != (cell.comma is None)}  # fmt: skip
    doubtful = {index: cell for index, cell in good.items() if cell.open}
    if len(proof) > 1:
        if doubtful:
            both = " and ".join(f"'{cells[index]}'" for index in sorted(proof.values()))
            return ".", _ask(doubtful, cells, f"; the column has both decimal signs ({both})")
        notes.append("has decimal points and decimal commas; every cell can be read one way only")
        return ".", None
    if not doubtful:
        return next(iter(proof), "."), None
    used = {"," if "," in cells[index] else "." for index in doubtful}
    if len(used) > 1:
        return ".", _ask(doubtful, cells, "; the column has points and commas")
    mark = used.pop()
    whole = [index for index, cell in good.items() if cell.whole]
    sign = next(iter(proof)) if proof else _by_the_file(mark, bool(whole), delimiter, signs())
    if sign is None:
        return ".", _ask(doubtful, cells, "")
    first = min(doubtful)
    value = doubtful[first].comma if sign == "," else doubtful[first].point
    if sign != mark or mark == "," or (whole and not proof):
        why = "as its other cells say" if proof else "by the cells beside it and the file's other columns"
        notes.append(f"'{cells[first]}' is read as {value:.10g}, {why} ({len(doubtful)} cells of this form)")
    return sign, None


def _by_the_file(mark: str, whole: bool, delimiter: str, signs: Signs) -> str | None:
    """Return the decimal sign of a column whose cells all look like 1,005 (mark ",") or 1.005; None: ask.

    whole: whole numbers of three digits or more stand beside them, as in 970, 1,005; with three fixed decimals the
    first would be written 970,000.
    """
    other = "." if mark == "," else ","
    if len(signs) > 1:
        return None
    only = next(iter(signs), None)
    if mark == ",":
        if only == ",":
            return None if whole or delimiter == "," else ","
        if delimiter == ",":
            return "." if whole or only == "." else None
        return "." if whole else None
    if only == ".":
        return "."
    if only == ",":
        return None if delimiter == "," else other
    return None if whole or delimiter == ";" else "."


def _ask(doubtful: dict[int, Cell], cells: Sequence[str], more: str) -> tuple[int, str]:
    first = min(doubtful)
    cell = doubtful[first]
    return first, (
        f"'{cells[first]}' can be {cell.point:.10g} or {cell.comma:.10g}{more}: write such numbers without a thousands "
        "separator, and decimals with a point (in a spreadsheet: format the column as a number with the separator off)"
    )


def _check_units(
    good: dict[int, Cell], cells: Sequence[str], name: str, wrong: dict[int, str], notes: list[str]
) -> tuple[int, str] | None:
    """Put cells of another unit than most into `wrong`; return the question where the unit contradicts the name."""
    of = {index: _ALIKE.get(cell.unit.lower(), cell.unit.lower()) for index, cell in good.items()}
    counts = Counter(of.values())
    if not counts or set(counts) == {""}:
        return None
    words = [_ALIKE.get(word, word) for word in re.split(r"[^a-z%°/µ]+", name.lower()) if word]
    unit = max((one for one in counts if one), key=lambda one: counts[one])
    named = unit in words or ("/" in unit and unit.replace("/", "_per_") in name.lower())
    main = unit if named or counts[unit] >= counts[""] else ""
    for index, one in of.items():
        if one != main and not (named and not one):
            expected = (
                f"the unit of the other cells, '{main}'" if main else "a number without a unit, as the others are"
            )
            wrong[index] = f"expected {expected}, got '{cells[index]}'"
    if not main:
        return None
    first = next(index for index, one in of.items() if one == unit)
    # A column called `w` or `d` alone holds weights or doses, rather than weeks or days.
    said = None if len(name.strip()) == 1 else next((word for word in reversed(words) if word in _OF_NAMES), None)
    if said is not None and not named:
        return first, f"'{cells[first]}' says {good[first].unit}, the column's name says {said}; which is it?"
    if not named:
        notes.append(f"all values have the unit '{good[first].unit}', as in '{cells[first]}'; read without it")
    return None
