"""What a reader sees of the database: rows whose times and ages are ones that the contract has.

A database may hold others: an earlier version stored what the contract now refuses, and people edit databases. One
date in the year 9999 must not end a command for everybody, nor make a plot of a hundred centuries. The views have the
names of the tables and stand before them, so that no query can forget them. A row that is dated after it came says so.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from edge.contract.times import FIRST_S, FIRST_YEAR, LAST_S, LAST_YEAR

MAX_DAYS: Final = 1e6
AHEAD: Final = "ahead"
AHEAD_S: Final = 86400.0
"""`time_basis` of a row that is dated more than this after the station received it: the device's clock was wrong.

A day, because that moves no age by more, and because the station's own clock may have been off by a zone.
"""
_TIMED = f"at_s BETWEEN {FIRST_S} AND {LAST_S} AND typeof(device) = 'text'"
"""Numbers compare below texts and blobs, and NULL with nothing: none of them is between two numbers."""


def _days(column: str) -> str:
    return f"{column} BETWEEN {-MAX_DAYS} AND {MAX_DAYS}"


_NO_ESTIMATE = "estimate_days IS NULL"
_ESTIMATE = " AND ".join(_days(name) for name in ("estimate_days", "interval_low_days", "interval_high_days"))
_ANIMAL = f"({_NO_ESTIMATE} OR ({_ESTIMATE})) AND (age_days IS NULL OR {_days('age_days')}) AND typeof(device) = 'text'"
_SOUND: Final = {
    "timed_readings": ("readings", f"{_TIMED} AND typeof(cage) = 'text' AND typeof(light) = 'text'"),
    "animals": ("estimates", _ANIMAL),
    "timed_events": ("events", f"{_TIMED} AND typeof(code) = 'text'"),
    "losses": ("losses", "typeof(first_seq) = 'integer' AND typeof(last_seq) = 'integer' AND last_seq >= first_seq"),
}
"""View or table -> what its rows are called, and which of them are sound."""


_BASIS: Final = (
    f"CASE WHEN time_basis != 'unsynchronised' AND at_s - {AHEAD_S} > (SELECT k.received_at FROM main.records k WHERE "
    "k.device = v.device AND k.epoch = v.epoch AND k.seq = v.seq AND typeof(k.received_at) IN ('real', 'integer')) "
    f"THEN '{AHEAD}' ELSE time_basis END AS time_basis"
)


def hide_unsound_rows(connection: sqlite3.Connection) -> None:
    """Have every query of the connection pass over the rows that no reader can use; `count_hidden` counts them."""
    connection.text_factory = lambda raw: str(raw, "utf-8", "replace")
    for name, (_, sound) in _SOUND.items():
        columns = [column[1] for column in connection.execute(f"PRAGMA main.table_info({name})").fetchall()]
        # A database of an earlier version that nobody has written since knows no start counters.
        more = ", 0 AS starts" if name.startswith("timed_") and "starts" not in columns else ""
        shown = ", ".join(_BASIS if column == "time_basis" else column for column in columns)
        connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {shown}{more} FROM main.{name} AS v WHERE {sound}")


def count_hidden(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows are passed over, by kind, without the kinds that have none."""
    found = {}
    for name, (kind, sound) in _SOUND.items():
        (number,) = connection.execute(f"SELECT count(*) FROM main.{name} WHERE ({sound}) IS NOT TRUE").fetchone()
        if number:
            found[kind] = int(number)
    return found


def describe_hidden(hidden: dict[str, int]) -> str:
    """Return one sentence for a person, "" where nothing is passed over."""
    if not hidden:
        return ""
    counts = ", ".join(f"{number} {kind}" for kind, number in sorted(hidden.items()))
    return (
        f"passed over: {counts} dated outside the years {FIRST_YEAR}-{LAST_YEAR}, or with a value that no message of "
        "this version can hold; the records themselves stand in the table `records` of station.db"
    )
