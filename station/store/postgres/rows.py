"""Rows as the readers expect them: tuples whose values also have their columns' names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import psycopg
from psycopg.adapt import Loader


class Row(tuple[Any, ...]):
    """A tuple that also answers to the names of its columns."""

    __slots__ = ()
    names: ClassVar[dict[str, int]] = {}

    def __getitem__(self, key: Any) -> Any:
        """Return a value by its place or its column's name."""
        return tuple.__getitem__(self, self.names[key] if isinstance(key, str) else key)

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.names)


@lru_cache(1024)
def _rows_of(names: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"__slots__": (), "names": {name: place for place, name in enumerate(names)}})


def named_rows(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    """Return what makes rows of a cursor's values."""
    return _rows_of(tuple(column.name for column in cursor.description or ()))


class NumberLoader(Loader):
    """A sum of whole numbers, which PostgreSQL makes a `numeric` of, as the number that it is."""

    def load(self, data: Any) -> int | float:
        """Return it."""
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)


class Result:
    """What a statement returned, all of it: there is nothing left to read on the connection."""

    lastrowid: int | None = None

    def __init__(self, rows: Sequence[Any] = (), rowcount: int = -1) -> None:
        """Keep the rows."""
        self._rows, self._next, self.rowcount = rows, 0, rowcount

    def fetchone(self) -> Any:
        """Return the next row, None behind the last."""
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        left, self._next = list(self._rows[self._next :]), len(self._rows)
        return left

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows that are left."""
        return iter(self.fetchall())
