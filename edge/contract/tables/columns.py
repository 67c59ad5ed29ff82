"""The typed columns of one table, and its columns by the names that the project knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import replace

from edge.contract.tables.dates import Dates, read_dates
from edge.contract.tables.missing import Names, read_names
from edge.contract.tables.numbers import Numbers, Signs, proven_signs, read_numbers
from edge.contract.tables.read import Table
from edge.errors import OperatorError


class Columns:
    """Reads a table's columns as names, numbers or dates; what one column leaves open, the others may decide."""

    def __init__(self, table: Table) -> None:
        """Keep the table; nothing is read yet."""
        self.table = table
        self._signs: Signs | None = None

    def names(self, name: str) -> Names:
        """Return a column as names."""
        return read_names(self.table.column(name))

    def numbers(self, name: str) -> Numbers:
        """Return a column as numbers."""
        return read_numbers(self.table.column(name), name, self.table.delimiter, self.signs)

    def dates(self, name: str) -> Dates:
        """Return a column as dates."""
        return read_dates(self.table.column(name))

    def signs(self) -> Signs:
        """Return the decimal signs that the table's columns of numbers prove."""
        if self._signs is None:
            columns = zip(*self.table.rows, strict=True)
            self._signs = frozenset().union(*(proven_signs(cells) for cells in columns))
        return self._signs

    def where(self, index: int, name: str) -> str:
        """Return "FILE: line 5, column 'name'" of a row, counted from 0, for messages."""
        return f"{self.table.source}: line {self.table.lines[index]}, column '{name}'"


def fold(name: str) -> str:
    """Return a column's name as it is compared: Date of birth and date_of_birth are the same."""
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def with_known_names(table: Table, known: Collection[str]) -> Table:
    """Return the table with columns renamed to the names that the project knows, where only case or blanks differ.

    Raises:
        OperatorError: two columns are the same known one.
    """
    of = {fold(name): name for name in known}
    names = [name if name in known else of.get(fold(name), name) for name in table.names]
    for index, name in enumerate(names):
        if name in names[:index]:
            first = table.names[names.index(name)]
            raise OperatorError(
                f"{table.source}: columns '{first}' and '{table.names[index]}' are both '{name}'; take one of them out"
            )
    return replace(table, names=tuple(names))


def nearest(name: str, known: Collection[str], cutoff: float = 0.5) -> str | None:
    """Return the known name that is most like this one, None where none is."""
    of = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), list(of), n=1, cutoff=cutoff)
    return of[near[0]] if near else None
