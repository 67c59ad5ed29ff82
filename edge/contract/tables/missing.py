"""Which words say that a value is missing: more of them in a column of numbers or dates than in one of names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

ANYWHERE = frozenset(
    {"", "na", "n/a", "n.a.", "nan", "null", "#n/a", "#na", "#nv", "-", "--", "---", "–", "—", "?", "??", "."}
)
"""Missing in every column, in any case of letters."""
IN_NUMBERS = ANYWHERE | {
    *("none", "nil", "nd", "n.d.", "n.d", "missing", "miss", "unknown", "unk", "empty", "pending", "tbd"),
    *("not measured", "not done", "not available", "not determined", "n.m.", "nm."),
    *("leer", "fehlt", "fehlend", "keine", "kein", "k.a.", "k. a.", "unbekannt", "vide", "manquant", "falta"),
}
"""Missing in a column of numbers or dates; in a column of names they are names: an arm may be called "none"."""
_CELL_ERROR = re.compile(r"#[A-ZÄÖÜ0-9/]{3,12}[!?]", re.IGNORECASE)
_ONLY_SIGNS = re.compile(r"\++(/\+)?")


@dataclass(frozen=True, slots=True)
class Names:
    """A column of names: values, "" where missing. words: how often each missing word stood there, but for ""."""

    values: tuple[str, ...]
    words: Counter[str]


def is_missing(cell: str, *, number: bool) -> bool:
    """Return whether the cell says that there is no value; a spreadsheet's error (#DIV/0!) is none either."""
    return cell.lower() in (IN_NUMBERS if number else ANYWHERE) or bool(
        cell.startswith("#") and _CELL_ERROR.fullmatch(cell)
    )


def read_names(cells: Sequence[str]) -> Names:
    """Return the cells as names; "-" is one where the column has "+" as well (a genotype, a sign)."""
    signs = any(_ONLY_SIGNS.fullmatch(cell) for cell in cells if cell.startswith("+"))
    memory = {cell: cell and is_missing(cell, number=False) and not (signs and cell == "-") for cell in set(cells)}
    return Names(tuple("" if memory[cell] else cell for cell in cells), Counter(cell for cell in cells if memory[cell]))


def describe_words(words: Counter[str]) -> str:
    """Return "12 cells 'NA' and 1 cell '?'" for people."""
    said = [f"{count} cell{'s' if count > 1 else ''} '{word}'" for word, count in words.most_common(4)]
    return " and ".join(said) + (" and others" if len(words) > 4 else "")
