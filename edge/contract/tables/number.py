"""One cell as a number: its possible readings, unit and limit; which of them holds is the column's matter."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MINUS = str.maketrans(dict.fromkeys("−–‒－﹣‐‑", "-"))
_BLANK = " \u00a0\u2007\u2009\u202f"
_CELL = re.compile(
    r"(?P<limit><=|>=|[<>\u2264\u2265~\u2248])?\s*(?P<sign>[+-]?)\s*"
    rf"(?P<body>[0-9]+(?:[.,'\u2019{_BLANK}][0-9]+)*\.?|[.,][0-9]+)"
    r"(?P<exponent>[eE][+-]?[0-9]{1,3})?(?P<gap>\s*)(?P<unit>.*)",
    re.DOTALL,
)
_ENDLESS = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
# A letter right behind a number is a unit only where it is a known one: 12A is the name of something.
_KNOWN = re.compile(
    r"(%|‰|°|°?[cCfF]|[kmµunp]?g|[mµuμd]?l|[cmµunμ]?m|m?s|secs?|min|hz|h|hrs?|d|days?|wks?|w|weeks?|mo|months?|y|yrs?|"
    r"years?|px|lx|bpm|mn|gf|i?u)([/·*][a-zµμ]{1,6}([23²³])?)?"
)
_UNIT = re.compile(r"[^\W\d_][\w/%°·*²³.^-]{0,11}|[%‰°]\S{0,3}")


@dataclass(frozen=True, slots=True)
class Cell:
    """A number's readings: `point` with a decimal point, `comma` with a decimal comma; None where it cannot be that.

    Both are there and differ where it could be read two ways ("1,005"). marked: it holds a point or a comma.
    unit: "" for none. limit: it stood behind <, > or ~. whole: three digits or more, nothing among them.
    """

    point: float | None
    comma: float | None
    marked: bool
    unit: str = ""
    limit: bool = False
    whole: bool = False

    @property
    def open(self) -> bool:
        """Return whether it could be read two ways."""
        return self.point is not None and self.comma is not None and self.point != self.comma


def read_cell(text: str) -> Cell | None:
    """Return the cell's readings, None where it is no number."""
    text = text.translate(_MINUS)
    if _ENDLESS.fullmatch(text):
        return Cell(float(text), float(text), marked=False)
    found = _CELL.fullmatch(text)
    if found is None:
        return None
    unit = found["unit"].strip().rstrip(".")
    if unit:
        known = _KNOWN.fullmatch(unit.lower().replace("μ", "µ")) is not None
        if not known and (not found["gap"] or not _UNIT.fullmatch(unit) or any(map(str.isdigit, unit))):
            return None
    sign, body, exponent = found["sign"], found["body"], found["exponent"] or ""
    point = _value(sign, body, exponent, ".", ",")
    comma = _value(sign, body, exponent, ",", ".")
    if point is None and comma is None:
        return None
    marked = "." in body or "," in body
    whole = body.isdigit() and len(body) >= 3 and not exponent
    return Cell(point, comma, marked, unit, found["limit"] is not None, whole)


def _value(sign: str, body: str, exponent: str, decimal: str, other: str) -> float | None:
    """Return the number with this decimal sign, None where its digits are not grouped so, or it is too large."""
    whole, _, part = body.partition(decimal)
    if not part.isdigit() and part:
        return None
    if decimal == "," and "," in body and not part:
        return None
    separators = set(whole) - set("0123456789")
    if separators:
        if len(separators) > 1 or separators == {decimal} or exponent:
            return None
        groups = whole.split(separators.pop())
        if whole.startswith("0") or len(groups[0]) > 3 or any(len(one) != 3 for one in groups[1:]) or not groups[0]:
            return None
        whole = "".join(groups)
    value = float(f"{sign}{whole or '0'}.{part or '0'}{exponent}")
    return value if abs(value) < 1e300 else None
