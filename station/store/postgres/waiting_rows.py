"""Rows of a batch that wait to be written together, and what is known of the rows that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from station.store.batches import Key
from station.store.postgres.dialect import Statement
from station.store.postgres.tables import COPIED

LOOKED_UP: Final = {"records": ("digest",), "thumbnails": ("sha256", "path", "bytes")}
"""What a batch asks of the rows under its messages' keys, read for all of them at once."""
Group = tuple[str, tuple[str, ...]]
"""Table and columns; the first three are device, epoch and seq."""
Values = tuple[Any, ...]


class WaitingRows:
    """Rows by table and columns, in the tables' order; those behind the mark are the present message's."""

    def __init__(self) -> None:
        """Nothing waits."""
        self.clear()

    def __bool__(self) -> bool:
        """Whether any rows wait."""
        return any(self._rows.values())

    def clear(self) -> None:
        """Forget everything."""
        self._rows: dict[Group, list[Values]] = {}
        self._marks: dict[Group, int] = {}
        self._waiting: dict[tuple[str, Key], tuple[tuple[str, ...], Values]] = {}
        self._known: dict[str, dict[Key, Values | None]] = {}

    def add(self, statement: Statement, row: Sequence[Any]) -> None:
        """Have a row of a `Kind.ROW` wait."""
        values = tuple(row)
        self._rows.setdefault((statement.table, statement.columns), []).append(values)
        self._waiting[statement.table, values[:3]] = (statement.columns, values)

    def mark(self) -> None:
        """Begin a message."""
        self._marks = {group: len(rows) for group, rows in self._rows.items()}

    def drop_message(self) -> None:
        """Forget the rows of the present message."""
        for group, rows in self._rows.items():
            begins = self._marks.get(group, 0)
            self._wait_no_more(group[0], rows[begins:])
            del rows[begins:]

    def take(self, *, earlier_only: bool = False) -> list[tuple[Group, list[Values]]]:
        """Return the rows, which wait no longer, in the order in which they are to be written.

        earlier_only: not those of the present message, which go on waiting.
        """
        found = []
        for group in sorted(self._rows, key=lambda group: COPIED.index(group[0])):
            rows = self._rows[group]
            end = self._marks.get(group, 0) if earlier_only else len(rows)
            if end:
                found.append((group, rows[:end]))
                self._rows[group] = rows[end:]
                self._wait_no_more(group[0], rows[:end])
        self._marks = {}
        return found

    def know(self, table: str, keys: Iterable[Key], rows: Iterable[Sequence[Any]]) -> None:
        """Keep what a table holds under some keys: rows of key and `LOOKED_UP` columns."""
        known: dict[Key, Values | None] = dict.fromkeys(keys)
        known |= {(row[0], row[1], row[2]): tuple(row[3:]) for row in rows}
        self._known[table] = known

    def forget(self, table: str) -> None:
        """Know nothing of a table any more: something else than waiting rows changes it."""
        self._known.pop(table, None)

    def find(self, statement: Statement, key: Key) -> tuple[bool, Values | None]:
        """Return (whether that is known here, the row) of a `Kind.POINT`."""
        waiting = self._waiting.get((statement.table, key))
        if waiting is not None:
            columns, values = waiting
            return True, tuple(values[columns.index(name)] for name in statement.columns)
        known, offered = self._known.get(statement.table), LOOKED_UP.get(statement.table, ())
        if known is None or key not in known or not set(statement.columns) <= set(offered):
            return False, None
        row = known[key]
        return True, None if row is None else tuple(row[offered.index(name)] for name in statement.columns)

    def _wait_no_more(self, table: str, rows: Iterable[Values]) -> None:
        """Ask the server for these from now on."""
        known = self._known.get(table, {})
        for row in rows:
            self._waiting.pop((table, row[:3]), None)
            known.pop(row[:3], None)
