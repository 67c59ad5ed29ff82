"""A spreadsheet (XLSX) as the CSV text that the one reader of tables takes. The only user of openpyxl."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from edge.contract.tables.read import Table, parse_table, read_table
from edge.errors import OperatorError

MOST_ROWS, MOST_COLUMNS, MOST_UNPACKED = 100_000, 1_000, 256 * 2**20
"""Rows, columns and unpacked bytes of a sheet that is read."""


def read_sheet_or_csv(path: Path, most_bytes: int) -> Table:
    """Return the table in a file: of an XLSX its one sheet that has content, else what `read_table` returns.

    Raises:
        OperatorError: as `read_table`; of an XLSX: openpyxl is not installed, it is damaged or too large, several
            sheets have content, a formula has no stored value, or a cell shows an error.
    """
    if path.suffix.lower() not in (".xlsx", ".xlsm") or not path.is_file():
        return read_table(path, most_bytes, controls=True)
    size = path.stat().st_size
    if size > most_bytes:
        raise OperatorError(f"{path}: expected at most {most_bytes // 2**20} MB, got {size / 2**20:.0f} MB; split it")
    rows = _rows_of(path)
    if not rows:
        raise OperatorError(f"{path}: the table is empty; expected a line of column names and a line an animal")
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows(rows)
    return parse_table(target.getvalue().encode(), str(path), controls=True)


def _rows_of(path: Path) -> list[list[str]]:
    """Return the cells, as text, of the one sheet that has any; a row's place is its number in the sheet."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        text = f"{path}: {error.name} is not installed: pip install 'cageclock[xlsx]', or save the sheet as CSV"
        raise OperatorError(text) from error
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(one.file_size for one in packed.infolist()) > MOST_UNPACKED:
                raise OperatorError(
                    f"{path}: expected at most {MOST_UNPACKED // 2**20} MB unpacked, got more; split it"
                )
        values, formulas = (load_workbook(path, read_only=True, data_only=only) for only in (True, False))
        try:
            found = {sheet.title: list(_cells(path, sheet, formulas[sheet.title])) for sheet in values.worksheets}
        finally:
            values.close()
            formulas.close()
    except OperatorError:
        raise
    except Exception as error:  # a hostile or damaged file can raise anything in a parser
        raise OperatorError(f"{path}: expected a spreadsheet (XLSX), got one that cannot be read: {error!r}") from error
    full = {title: rows for title, rows in found.items() if any(any(row) for row in rows)}
    if len(full) > 1:
        names = ", ".join(full)
        raise OperatorError(f"{path}: expected one sheet with content, got {names}; keep one, or save it as CSV")
    return next(iter(full.values()), [])


def _cells(path: Path, values: Any, formulas: Any) -> Iterator[list[str]]:
    pairs = zip(values.iter_rows(), formulas.iter_rows(), strict=False)
    for number, (row, said) in enumerate(pairs, start=1):
        if number > MOST_ROWS or len(row) > MOST_COLUMNS:
            raise OperatorError(f"{path}: expected at most {MOST_ROWS} rows of {MOST_COLUMNS} cells; split it")
        cells = []
        for column, (cell, formula) in enumerate(zip(row, said, strict=False), start=1):
            where = f"{path}: {values.title}, row {number}, column {column}"
            if cell.value is None and isinstance(formula.value, str) and formula.value.startswith("="):
                raise OperatorError(f"{where}: a formula without its value; open the file in its program and save it")
            if cell.data_type == "e":
                raise OperatorError(f"{where}: expected a value, got the error {cell.value}")
            cells.append(_text(cell.value))
        yield cells


def _text(value: Any) -> str:
    """Return a cell as a person would write it: a day without its midnight, a whole number without its point."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
