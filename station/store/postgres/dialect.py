"""What PostgreSQL is given for a statement of the log: one text serves both databases, this turns it into the other's.

The statements keep to what both understand; what is left are the marks of parameters, the short forms of INSERT, and a
few words of SQLite's. What is not known here is handed on as it is, and PostgreSQL says what is wrong with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from station.store.postgres.tables import COPIED, key_of, tables


class Kind(Enum):
    """What is to be done with a statement.

    ROW: it inserts one whole row into a table of `COPIED`, which may wait. POINT: it asks for one row of such a table
    by its key. READ and WRITE go to the server at once. The others begin and end transactions or messages.
    """

    ROW = "row"
    POINT = "point"
    READ = "read"
    WRITE = "write"
    NOTHING = "nothing"
    VERSION = "version"
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    MESSAGE = "message"
    KEEP = "keep"
    TAKE_BACK = "take back"


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement for PostgreSQL. table, columns: of a ROW or a POINT. sees_rows: whether rows that wait concern it."""

    kind: Kind
    sql: str = ""
    table: str = ""
    columns: tuple[str, ...] = ()
    sees_rows: bool = False


_CONTROL: Final = {
    "BEGIN": Kind.BEGIN,
    "BEGIN IMMEDIATE": Kind.BEGIN,
    "COMMIT": Kind.COMMIT,
    "ROLLBACK": Kind.ROLLBACK,
    "SAVEPOINT message": Kind.MESSAGE,
    "RELEASE message": Kind.KEEP,
    "ROLLBACK TO message": Kind.TAKE_BACK,
    "PRAGMA data_version": Kind.VERSION,
}
NUMBERS_LINES: Final = "retention_log"
"""A table of which the number of a new row is asked for."""
_LITERAL: Final = re.compile(r"('(?:[^']|'')*')")
_ROW: Final = re.compile(rf"INSERT (OR IGNORE )?INTO ({'|'.join(COPIED)})(?: \(([\w, ]+)\))? VALUES \((?:\?(?:, )?)+\)")
_POINT: Final = re.compile(rf"SELECT ([\w, ]+) FROM ({'|'.join(COPIED)}) WHERE device = \? AND epoch = \? AND seq = \?")
_INSERT: Final = re.compile(r"INSERT (?:OR (IGNORE|REPLACE) )?INTO (\w+)\s*(?:\(([\w, ]+)\))?")
_WORDS: Final = (
    (re.compile(r"\bINDEXED BY \w+ ?"), ""),
    (re.compile(r"\bIS NOT 1\b"), "IS DISTINCT FROM 1"),
    (re.compile(r"\bAS BLOB\b"), "AS bytea"),
    (re.compile(r"%"), "%%"),
    (re.compile(r"\?"), "%s"),
    (re.compile(r"(?<!:):(\w+)"), r"%(\1)s"),
)
_SEES: Final = re.compile(rf"\b({'|'.join(COPIED)}|timed_readings|timed_events|best_correction|dated_ahead|totals)\b")


@lru_cache(2048)
def translate(sql: str) -> Statement:
    """Return the statement for PostgreSQL of one that is written for both."""
    sql = sql.strip()
    if sql in _CONTROL:
        return Statement(_CONTROL[sql], sql)
    if sql.startswith("CREATE TABLE IF NOT EXISTS"):
        return Statement(Kind.NOTHING)  # every table is there from the beginning
    row = _ROW.fullmatch(sql)
    if row is not None:
        columns = tuple(row[3].split(", ")) if row[3] else tuple(tables()[row[2]].columns)
        return Statement(Kind.ROW, sql, row[2], columns)
    sees = _SEES.search(sql) is not None
    point = _POINT.fullmatch(sql)
    if point is not None:
        return Statement(Kind.POINT, _words(sql), point[2], tuple(point[1].split(", ")), sees_rows=sees)
    kind = Kind.READ if sql.startswith(("SELECT", "WITH")) else Kind.WRITE
    return Statement(kind, _words(_insert(sql)), sees_rows=sees)


def _insert(sql: str) -> str:
    """Return an INSERT with what is to happen where a row is there already, as PostgreSQL says it."""
    found = _INSERT.match(sql)
    if found is None:
        return sql
    what, table, named = found.groups()
    sql = re.sub(r"^INSERT OR \w+ ", "INSERT ", sql)
    key = key_of(table)
    if what == "IGNORE":
        return f"{sql} ON CONFLICT DO NOTHING"
    if what == "REPLACE":
        columns = named.split(", ") if named else list(tables()[table].columns)
        changed = [f"{column} = excluded.{column}" for column in columns if column not in tables()[table].key]
        return f"{sql} ON CONFLICT ({key}) DO UPDATE SET {', '.join(changed)}"
    if table == NUMBERS_LINES:
        return f"{sql} RETURNING id"
    return sql.replace("ON CONFLICT DO UPDATE", f"ON CONFLICT ({key}) DO UPDATE")


def _words(sql: str) -> str:
    """Return the statement with its words and marks replaced, none of them inside of a text."""
    parts = _LITERAL.split(sql)
    for index, part in enumerate(parts):
        if index % 2:
            parts[index] = part.replace("%", "%%")
            continue
        for pattern, replacement in _WORDS:
            part = pattern.sub(replacement, part)
        parts[index] = part
    # `IS 'text'` is SQLite's; the text is the next part.
    return re.sub(r"\bIS '", "IS NOT DISTINCT FROM '", "".join(parts))
