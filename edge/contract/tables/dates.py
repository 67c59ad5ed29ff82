"""A column as dates: ISO always, day or month first by what the column proves, else a question, not a guess."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone

from edge.contract.tables.missing import is_missing

FIRST_YEAR, LAST_YEAR = 1970, 2200
_TIME = (
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<part>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|z|UTC|[+-]\d{2}:?\d{2})?)?"
)
_ISO = re.compile(r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})" + _TIME)
_COMPACT = re.compile(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})")
_NUMERIC = re.compile(r"(?P<one>\d{1,2})(?P<sep>[-/.])\s?(?P<two>\d{1,2})(?P=sep)\s?(?P<year>\d{4})" + _TIME)
_SHORT = re.compile(r"\d{1,2}[-/.]\s?\d{1,2}[-/.]\s?\d{2}(?:[T ].*)?|\d{1,2}[-. ]\s?[^\W\d]{3,9}\.?[- ]\d{2}")
_WORDS = re.compile(
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[-. ]{1,2}(?P<name>[^\W\d]{3,9})\.?[-, ]{1,2}(?P<year>\d{4})" + _TIME
)
_WORD_FIRST = re.compile(r"(?P<name>[^\W\d]{3,9})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})" + _TIME)
_SERIAL = re.compile(r"[1-9]\d{4}(?:[.,]\d+)?")
_MONTHS = {
    word[:length]: number
    for number, names in enumerate(
        ("january januar janvier", "february februar", "march märz maerz mars", "april avril", "may mai", "june juni",
         "july juli", "august août", "september septembre", "october oktober octobre", "november novembre",
         "december dezember décembre"), 1)
    for word in names.split()
    for length in range(3, len(word) + 1)
    if word[:length] not in ("jui",)
}  # fmt: skip
_MONTHS |= {"juin": 6, "juillet": 7, "juil": 7, "mrz": 3, "sept": 9}


@dataclass(frozen=True, slots=True)
class Dates:
    """values: aware UTC, None where missing or wrong. missing: bool a cell. timed: whether a cell has a clock time.

    wrong: (index, sentence). words: how often each missing word stood there. question: what cannot be decided, with the
    index of the first cell concerned; then all cells in question are None. notes: what was decided.

    days: the day that stands in the cell, in the cell's own zone: 2025-08-14T00:00+02:00 is the 14th, though in UTC it
    is still the 13th.
    """

    values: tuple[datetime | None, ...]
    missing: tuple[bool, ...]
    timed: tuple[bool, ...]
    wrong: tuple[tuple[int, str], ...] = ()
    words: Counter[str] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
    question: tuple[int, str] | None = None
    days: tuple[date | None, ...] = ()

    @property
    def share(self) -> float:
        """Return which share of the cells that are not missing are dates, or would be but for the question."""
        present = len(self.missing) - sum(self.missing)
        return 1 - len(self.wrong) / present if present else 0.0


def read_dates(cells: Sequence[str]) -> Dates:
    """Return the cells of a column as dates; without a zone they are UTC.

    13.01.2023 proves that the day comes first in the whole column. Two-digit years, a spreadsheet's serial numbers and
    days that no calendar has are wrong.
    """
    missing = tuple(is_missing(cell, number=True) for cell in cells)
    words = Counter(cell for cell, gone in zip(cells, missing, strict=True) if gone and cell)
    values: list[datetime | None] = [None] * len(cells)
    timed = [False] * len(cells)
    wrong: dict[int, str] = {}
    open_cells: dict[int, re.Match[str]] = {}
    for index, cell in enumerate(cells):
        if missing[index]:
            continue
        numeric = _NUMERIC.fullmatch(cell)
        if numeric is not None:
            open_cells[index] = numeric
            continue
        found, why = _read_sure(cell)
        if found is None:
            wrong[index] = why
        else:
            values[index], timed[index] = found
    day_first, question, notes = _order(open_cells, cells)
    for index, match in open_cells.items():
        one, two = int(match["one"]), int(match["two"])
        if one == two or question is None:
            day, month = (one, two) if day_first else (two, one)
            made = _moment(int(match["year"]), month, day, match)
            if made is None:
                wrong[index] = _no_day(cells[index])
            else:
                values[index], timed[index] = made, match["hour"] is not None
    days = tuple(None if value is None else value.date() for value in values)
    moments = tuple(None if value is None else value.astimezone(UTC) for value in values)
    return Dates(moments, missing, tuple(timed), tuple(sorted(wrong.items())), words, tuple(notes), question, days)


def _order(found: dict[int, re.Match[str]], cells: Sequence[str]) -> tuple[bool, tuple[int, str] | None, list[str]]:
    """Return whether the day comes first, the question where both are possible, and what was decided."""
    day_first = next((index for index, match in found.items() if int(match["one"]) > 12), None)
    month_first = next((index for index, match in found.items() if int(match["two"]) > 12), None)
    open_ones = [index for index, match in found.items() if match["one"] != match["two"]
                 and int(match["one"]) <= 12 and int(match["two"]) <= 12]  # fmt: skip
    if day_first is not None and month_first is not None:
        text = (
            f"'{cells[day_first]}' has the day first, '{cells[month_first]}' the month; write all dates of the column "
            "as YYYY-MM-DD, such as 2024-03-31"
        )
        return True, (max(day_first, month_first), text), []
    if day_first is None and month_first is None:
        doubtful = next((index for index in open_ones if int(found[index]["one"]) != int(found[index]["two"])), None)
        if doubtful is None:
            return True, None, []
        one, two = int(found[doubtful]["one"]), int(found[doubtful]["two"])
        year = int(found[doubtful]["year"])
        first, second = (f"{year:04d}-{month:02d}-{day:02d}" for month, day in ((two, one), (one, two)))
        text = (
            f"expected an ISO date such as 2024-03-31, got '{cells[doubtful]}', which can be {first} or {second}, and "
            "no other cell of the column says which; write YYYY-MM-DD"
        )
        return True, (doubtful, text), []
    proof = day_first if day_first is not None else month_first
    order = "day first" if day_first is not None else "month first"
    assert proof is not None
    return (
        day_first is not None,
        None,
        [f"dates are read {order} throughout, as '{cells[proof]}' says"] * bool(open_ones),
    )


def _read_sure(cell: str) -> tuple[tuple[datetime, bool] | None, str]:
    """Return the date of a cell that can be read one way only, and whether it has a time; else what is wrong."""
    for form in (_ISO, _COMPACT, _WORDS, _WORD_FIRST):
        match = form.fullmatch(cell)
        if match is None:
            continue
        parts = match.groupdict()
        month = int(parts["month"]) if "month" in parts else _MONTHS.get(parts["name"].lower(), 0)
        made = _moment(int(parts["year"]), month, int(parts["day"]), match)
        return ((made, parts.get("hour") is not None), "") if made is not None else (None, _no_day(cell))
    if _SHORT.fullmatch(cell):
        return None, f"expected a year of four digits, got '{cell}'; write YYYY-MM-DD, such as 2024-03-31"
    if _SERIAL.fullmatch(cell):
        days = int(re.split("[.,]", cell)[0])
        one, other = date(1899, 12, 30) + timedelta(days), date(1904, 1, 1) + timedelta(days)
        return None, (
            f"expected an ISO date such as 2024-03-31, got '{cell}', a spreadsheet's serial number ({one} or, from a "
            f"Macintosh, {other}); format the column as a date, YYYY-MM-DD"
        )
    return None, f"expected an ISO date such as 2024-03-31 or 2024-03-31T14:05:00Z, got '{cell}'"


def _moment(year: int, month: int, day: int, match: re.Match[str]) -> datetime | None:
    """Return the time in its own zone, None where there is no such time, or it lies outside 1970 to 2200 in UTC."""
    parts = match.groupdict()
    clock, offset = time(), timedelta()
    try:
        if parts.get("hour") is not None:
            hour, half = int(parts["hour"]), (parts["half"] or "").lower()[:1]
            if half and not 1 <= hour <= 12:
                return None
            hour = hour % 12 + 12 * (half == "p") if half else hour
            fraction = int((parts["part"] or "0").ljust(6, "0")[:6])
            clock = time(hour, int(parts["minute"]), int(parts["second"] or 0), fraction)
            zone = parts["zone"] or "Z"
            if zone[0] in "+-":
                hours, minutes = int(zone[1:3]), int(zone[-2:])
                if hours > 14 or minutes > 59:
                    return None
                offset = timedelta(hours=hours, minutes=minutes) * (1 if zone[0] == "+" else -1)
        made = datetime.combine(date(year, month, day), clock, timezone(offset))
        in_utc = made.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return made if FIRST_YEAR <= in_utc.year <= LAST_YEAR else None


def _no_day(cell: str) -> str:
    return f"expected a day of the calendar from {FIRST_YEAR} to {LAST_YEAR}, got '{cell}'"
