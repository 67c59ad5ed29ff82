"""How a table is written: what separates its cells, what quotes them; found from the file itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge.contract.tables.cells import NEWLINE
from edge.errors import OperatorError

DELIMITERS = (",", ";", "\t")
BAR = "|"
"""Separates cells only where none of the others stands among the column names: people write it into names."""
_BLANK = re.compile(r"[\s,;|\u200b\u2060\ufeff]*")
"""A line of nothing else has no content: Python's white space holds no-break spaces, too."""
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SEP = re.compile(r"^[\"']?sep=(\\t|[,;\t|])?[\"']?([,;\t|]*)\s*$", re.IGNORECASE)
_NUMBER_WITH_COMMA = re.compile(r"^\s*[+\-\u2212]?[\d.\s'’]*\d,\d+(,\d{3})*(\s*\S{1,8})?\s*$")
_SAMPLE_LINES = 500


@dataclass(frozen=True, slots=True)
class Dialect:
    """delimiter: one character. quote: the quotation mark. skipped: how many lines stand before the table (`sep=`)."""

    delimiter: str
    quote: str
    skipped: int


def find_dialect(text: str, source: str) -> Dialect:
    """Return how the text is written; a first line `sep=;`, which Excel reads and writes, is taken at its word.

    Raises:
        OperatorError: two separators fit equally well, or `sep=` names one that the column names do not have.
    """
    lines = NEWLINE.split(text, maxsplit=_SAMPLE_LINES)[:_SAMPLE_LINES]
    skipped, declared = 0, None
    for number, line in enumerate(lines):
        if not _BLANK.fullmatch(line):
            found = _SEP.match(line.strip(" "))
            if found:
                # sep=; with separators after it came through another program, which wrote its own.
                skipped, declared = number + 1, None if found[2] and found[1] else (found[1] or found[2][:1]) or None
            break
    declared = "\t" if declared == "\\t" else declared
    body = "\n".join(lines[skipped:])
    quote = _quote(body)
    whole = re.sub(f"{quote}(?:[^{quote}]|{quote}{quote})*{quote}", "q", body)
    sample = [line for line in whole.split("\n") if not _BLANK.fullmatch(line)]
    there = [one for one in DELIMITERS if sample and one in sample[0].rstrip(" ")]
    if declared is not None:
        if sample and declared not in sample[0] and there:
            raise OperatorError(
                f"{source}: line {skipped}: says that cells are separated by {declared!r} (sep=), but the column names "
                f"below have none and are separated by {NAMES[there[0]]}; take the line out or mend it"
            )
        return Dialect(declared, quote, skipped)
    if not there:
        if sample and BAR in sample[0]:
            return Dialect(BAR, quote, skipped)
        _refuse_blanks(sample, source)
    if len(there) < 2:
        return Dialect(there[0] if there else ",", quote, skipped)
    scores = sorted(((_score(sample, one), one) for one in there), reverse=True)
    if scores[0][0] == scores[1][0]:
        first, second = (NAMES[one] for _, one in scores[:2])
        raise OperatorError(
            f"{source}: cells may be separated by {first} or by {second}, both fit; put cells that hold one of them in "
            'quotation marks ("), or write sep=; (or sep=,) into a line of its own above the table'
        )
    return Dialect(scores[0][1], quote, skipped)


def _refuse_blanks(sample: list[str], source: str) -> None:
    """Raise where blanks separate the cells: names and texts hold blanks, so that nobody can tell the cells apart."""
    words = [len(line.split()) for line in sample]
    if len(words) > 1 and words[0] > 1 and set(words) == {words[0]}:
        raise OperatorError(
            f"{source}: expected cells separated by commas, semicolons or tabs, got {words[0]} words in each line, "
            f"'{sample[0].strip()[:60]}' first: are they separated by blanks? Save it as CSV"
        )


def _quote(body: str) -> str:
    """Return the single quotation mark where it stands around every column name, else the double one."""
    header = next((line.strip() for line in body.split("\n") if line.strip()), "")
    if re.fullmatch(r"'[^']*'([,;\t|]'[^']*')*", header):
        return "'"
    return '"'


def _score(sample: list[str], delimiter: str) -> tuple[float, float, int]:
    """Return how well it fits: share of rows as wide as the first, less doubtful cells, number of columns."""
    width = sample[0].rstrip(" ").rstrip(delimiter).count(delimiter)
    rows = [line.rstrip(" ").rstrip(delimiter) for line in sample[1:]]
    fitting = sum(row.count(delimiter) <= width and sample[0].count(delimiter) > 0 for row in rows)
    exact = sum(
        line.count(delimiter) == sample[0].count(delimiter) or row.count(delimiter) == width
        for line, row in zip(sample[1:], rows, strict=True)
    )
    share = min(fitting, exact) / len(rows) if rows else 1.0
    others = [one for one in DELIMITERS if one != delimiter]
    cells = [cell for row in sample for cell in row.split(delimiter)]
    doubtful = 0
    for cell in cells:
        if "\t" in cell:  # people write commas and semicolons into cells, but hardly tabs
            doubtful += 2
        elif any(one in cell for one in others) and not (delimiter != "," and _NUMBER_WITH_COMMA.match(cell)):
            doubtful += 1
    return share, -doubtful / len(cells), width
