"""From a table's text to rows of cells: a quotation mark that is not closed is found where it stands, not at the end.

Why not Python's `csv`: it takes a mark within a cell for text, goes on over any number of lines for one that is never
closed, and its error names the line where the reading stopped instead of the one where the fault is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from edge.errors import OperatorError

NEWLINE = re.compile(r"\r\n|\n|\r")
MOST_LINES = 200
"""Lines of one cell: more is a quotation mark that is not closed."""


class Row(NamedTuple):
    """One row: its cells as they stand, and its first and last line in the file, from 1."""

    cells: list[str]
    line: int
    last: int


def split_cells(text: str, delimiter: str, quote: str, source: str, first_line: int = 1) -> list[Row]:
    """Return all rows, those without any content too; line breaks within a cell become one newline.

    Raises:
        OperatorError: a quotation mark that is never closed, or one in the middle of a cell; with the line.
    """
    lines = NEWLINE.split(text)
    rows = []
    number = 0
    while number < len(lines):
        if quote in lines[number]:
            cells, last = _quoted_row(lines, number, delimiter, quote, f"{source}: line {number + first_line}")
        else:
            cells, last = lines[number].split(delimiter), number
        rows.append(Row(cells, number + first_line, last + first_line))
        number = last + 1
    return rows


def _quoted_row(lines: list[str], number: int, delimiter: str, quote: str, where: str) -> tuple[list[str], int]:
    """Return the cells of the row that begins in a line with a quotation mark, and its last line (from 0)."""
    blanks = re.compile("[^\\S\t]*" if delimiter == "\t" else "\\s*")
    cells: list[str] = []
    at = 0
    while True:
        text = lines[number]
        start = _after(blanks, text, at)
        if text[start : start + 1] == quote:
            opened = text[start:]
            cell, number, at = _quoted_cell(lines, number, start + 1, quote, where, len(cells) + 1)
            text = lines[number]
            at = _after(blanks, text, at)
            if at < len(text) and text[at] != delimiter:
                raise OperatorError(_stray(where, len(cells) + 1, opened, quote))
        else:
            end = text.find(delimiter, at)
            end = len(text) if end < 0 else end
            cell, at = text[at:end], end
            if quote in cell:
                raise OperatorError(_stray(where, len(cells) + 1, cell, quote))
        cells.append(cell)
        if at >= len(text):
            return cells, number
        at += 1


def _quoted_cell(lines: list[str], number: int, at: int, quote: str, where: str, column: int) -> tuple[str, int, int]:
    """Return the text of a cell between quotation marks, and line and place after its closing one."""
    parts: list[str] = []
    begun, opened = number, at
    while True:
        end = lines[number].find(quote, at)
        if end < 0:
            parts.append(lines[number][at:] + "\n")
            number, at = number + 1, 0
            if number == len(lines) or number - begun > MOST_LINES:
                ahead = lines[begun][max(0, opened - 1) :].strip()[:60]
                raise OperatorError(
                    f"{where}, cell {column}: expected a closing quotation mark ({quote}), the one that opens there is "
                    f"never closed: {ahead}; close it, or write inches as 'in'"
                )
        elif lines[number][end + 1 : end + 2] == quote:
            parts.append(lines[number][at : end + 1])
            at = end + 2
        else:
            parts.append(lines[number][at:end])
            return "".join(parts), number, end + 1


def _after(blanks: re.Pattern[str], text: str, at: int) -> int:
    found = blanks.match(text, at)
    return found.end() if found else at


def _stray(where: str, column: int, text: str, quote: str) -> str:
    return (
        f"{where}, cell {column}: expected quotation marks ({quote}) around a whole cell or none, got one that opens "
        f"or ends within it: {text.strip()[:60]}; take it out, or double it and put the cell in quotation marks"
    )
