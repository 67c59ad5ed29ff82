"""A table as a person keeps it, read whole: the one reader of every table of the project."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edge.contract.tables.cells import NEWLINE, Row, split_cells
from edge.contract.tables.dialect import NAMES, Dialect, find_dialect
from edge.contract.tables.encoding import decode
from edge.errors import OperatorError

MOST_BYTES = 512 * 2**20
MOST_COLUMNS = 16_384
MOST_LETTERS = 32_767
"""Columns, and letters of a cell: what a spreadsheet holds."""
_EDGE = "".join(map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200E), 0x2028, 0x2029, 0x202F,
                          0x205F, 0x2060, 0x3000, 0xFEFF)))  # fmt: skip
"""White space and what has no width: never part of a cell's content at its ends."""


@dataclass(frozen=True, slots=True)
class Table:
    """names: the columns. rows: their cells, text without blanks around it. lines: each row's line in the file, from 1.

    source: the file's name, for messages. notes: sentences on what was decided while reading.
    """

    source: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    delimiter: str
    encoding: str
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> tuple[str, ...]:
        """Return the cells of a column; KeyError where there is none."""
        if name not in self.names:
            raise KeyError(name)
        index = self.names.index(name)
        return tuple(row[index] for row in self.rows)


def read_table(path: Path, most_bytes: int = MOST_BYTES, *, controls: bool = False) -> Table:
    """Return the file's table; for `controls` see `decode`.

    Raises:
        OperatorError: there is no file, it is too large, or as `parse_table`.
    """
    if not path.is_file():
        what = "a folder" if path.is_dir() else "there is none"
        raise OperatorError(f"{path}: expected a CSV table, {'got ' if path.is_dir() else ''}{what}")
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise OperatorError(
                f"{path}: expected at most {most_bytes // 2**20} MB, got {size / 2**20:.0f} MB; split it"
            )
        content = path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path}: cannot be read: {error.strerror or error}") from error
    return parse_table(content, str(path), controls=controls)


def parse_table(content: bytes, source: str, *, controls: bool = False) -> Table:
    """Return the table in a file's bytes; `source` is the file's name for messages.

    Comma, semicolon, tab or bar; any line ends; Excel's `sep=` line. Rows without content, and columns without name and
    content, are passed over.

    Raises:
        OperatorError: with line, what was expected and what came: empty, no text, a quotation mark out of place, a row
            with cells too many or too few, a column without a name or with one that is there twice, too large.
    """
    text, encoding, note = decode(content, source, controls=controls)
    dialect = find_dialect(text, source)
    rows = [
        Row([cell.strip(_EDGE) for cell in cells], line, last)
        for cells, line, last in split_cells(text, dialect.delimiter, dialect.quote, source)[dialect.skipped :]
        if any(map(str.strip, cells))
    ]
    rows = [row for row in rows if any(row.cells)]
    if not rows:
        raise OperatorError(f"{source}: the table is empty; expected a line of column names and a line a reading")
    header, body = rows[0], rows[1:]
    width = max(index for index, cell in enumerate(header.cells) if cell) + 1
    _check_rows(body, header, width, text, dialect, source)
    names, kept = _names(header, body, width, source)
    notes = [note] if note else []
    if _only_counts(header, body):
        notes.append("column 1 has no name and only counts the rows, as pandas and R write it; it is passed over")
    if not body:
        raise OperatorError(f"{source}: the table is empty: expected rows below the header, got column names only")
    whole = kept == list(range(width))
    cells = tuple(tuple(row.cells[:width]) if whole else tuple(row.cells[one] for one in kept) for row in body)
    lines = tuple(row.line for row in body)
    return Table(source, names, cells, lines, dialect.delimiter, encoding, tuple(notes))


def _check_rows(body: list[Row], header: Row, width: int, text: str, dialect: Dialect, source: str) -> None:
    """Raise where a row has not the header's cells; `width`: how many of them have a name or stand before one."""
    physical: list[str] = []
    for row in (header, *body):
        where = f"{source}: line {row.line}"
        if row.last > row.line:
            physical = physical or NEWLINE.split(text)
            span = physical[row.line - 1 : row.last]
            # A note of two lines with a comma in each looks like two rows of two cells, so there it takes three lines.
            rows_of_their_own = all(
                line.count(dialect.delimiter) in (width - 1, len(header.cells) - 1) for line in span
            )
            if rows_of_their_own and (width > 2 or len(span) > 2):
                raise OperatorError(
                    f"{where}: a cell in quotation marks runs to line {row.last}, and each of these lines would be a "
                    f"row of its own: {span[0].strip()[:60]}; is a quotation mark out of place?"
                )
        if len(row.cells) > width:
            extra = next((index for index in range(width, len(row.cells)) if row.cells[index]), None)
            if extra is not None:
                if sum(len(one.cells) > extra and bool(one.cells[extra]) for one in body) > len(body) / 2:
                    raise OperatorError(_nameless(header, extra, row, source))
                hint = "; a number with a decimal comma needs quotation marks here" if dialect.delimiter == "," else ""
                unnamed = f"{where}: expected {width} cells, got {_filled(row)} (cell {extra + 1}: "
                raise OperatorError(f"{unnamed}'{row.cells[extra][:40]}'){hint}")
        elif len(row.cells) < width:
            more = f"a cell in quotation marks runs to line {row.last}; " if row.last > row.line else ""
            separated = f"({more}they are separated by {NAMES[dialect.delimiter]})"
            raise OperatorError(f"{where}: expected {width} cells, got {len(row.cells)} {separated}")
        longest = max(map(len, row.cells))
        if longest > MOST_LETTERS:
            raise OperatorError(f"{where}: expected cells of at most {MOST_LETTERS} letters, got {longest}")


def _names(header: Row, body: list[Row], width: int, source: str) -> tuple[tuple[str, ...], list[int]]:
    """Return the column names, and where they stand; columns without name and content are not among them."""
    if width > MOST_COLUMNS:
        raise OperatorError(f"{source}: line {header.line}: expected at most {MOST_COLUMNS} columns, got {width}")
    names = [" ".join(cell.split()) for cell in header.cells[:width]]
    for index in (index for index, name in enumerate(names) if not name):
        for row in body:
            if row.cells[index] and not (index == 0 and _only_counts(header, body)):
                raise OperatorError(_nameless(header, index, row, source))
    kept = [index for index, name in enumerate(names) if name]
    twice = [name for name, count in Counter(names[index] for index in kept).items() if count > 1]
    if twice:
        raise OperatorError(
            f"{source}: column '{twice[0]}' is there {names.count(twice[0])} times; rename all but one of them"
        )
    return tuple(names[index] for index in kept), kept


def _only_counts(header: Row, body: list[Row]) -> bool:
    """Return whether the first column has no name and counts the rows, from 0 or 1."""
    cells = [row.cells[0] for row in body]
    return not header.cells[0] and any(
        cells == [str(number) for number in range(first, first + len(cells))] for first in (0, 1)
    )


def _nameless(header: Row, index: int, row: Row, source: str) -> str:
    return (
        f"{source}: line {header.line}: expected a name for column {index + 1}, which has values (line {row.line}: "
        f"'{row.cells[index][:40]}'), got none; name the column or take it out"
    )


def _filled(row: Row) -> int:
    return max(index for index, cell in enumerate(row.cells) if cell) + 1
