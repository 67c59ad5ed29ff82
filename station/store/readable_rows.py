"""What a reader sees of the database: rows whose times and ages are ones that the contract has.

A database may hold others: an earlier version stored what the contract now refuses, and people edit databases. One
date in the year 9999 must not end a command for everybody, nor make a plot of a hundred centuries. The views have the
names of the tables and stand before them, so that no query can forget them. A row that is dated after it came says so.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import Final

from edge.contract.times import FIRST_YEAR, LAST_YEAR
from station.store.reviewed import as_reviewed, has_reviews
from station.store.sound import AHEAD, AHEAD_S, SOUND_ANIMAL, SOUND_PLACE, SOUND_READING, SOUND_TIME

_SOUND: Final = {
    "timed_readings": ("readings", f"{SOUND_TIME.format('at_s')} AND {SOUND_PLACE}"),
    "animals": ("estimates", SOUND_ANIMAL),
    "timed_events": ("events", f"{SOUND_TIME.format('at_s')} AND typeof(code) = 'text'"),
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
    for name, sql in readable_views(connection).items():
        connection.execute(f"CREATE TEMP VIEW {name} AS {sql}")


def readable_views(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the query that each view which stands before a table or another view is made of, by its name."""
    found, reviewed = {}, has_reviews(connection)
    for name, (_, sound) in _SOUND.items():
        columns = [column[1] for column in connection.execute(f"PRAGMA main.table_info({name})").fetchall()]
        # A database of an earlier version that nobody has written since knows no start counters.
        more = ", 0 AS starts" if name.startswith("timed_") and "starts" not in columns else ""
        shown = ", ".join(_BASIS if column == "time_basis" else column for column in columns)
        if name == "animals" and reviewed:
            shown = ", ".join(map(as_reviewed, columns))
        found[name] = f"SELECT {shown}{more} FROM main.{name} AS v WHERE {sound}"
    return found


def count_hidden(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows are passed over, by kind, without the kinds that have none."""
    found = {}
    for name, (kind, sound) in _SOUND.items():
        queries = [f"SELECT count(*) FROM main.{name} WHERE ({sound}) IS NOT TRUE"]
        if name == "timed_readings":  # each of the two has an index of its own, that holds few rows
            queries = [
                f"{queries[0]} AND clock_synced IS NOT 1",
                f"SELECT count(*) FROM main.readings WHERE ({SOUND_READING}) IS NOT TRUE AND clock_synced = 1",
            ]
        number = sum(int(connection.execute(query).fetchone()[0]) for query in queries)
        if number:
            found[kind] = number
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


def warn_of_hidden(connection: sqlite3.Connection) -> None:
    """Print that sentence on standard error, where there is one."""
    sentence = describe_hidden(count_hidden(connection))
    if sentence:
        print(sentence, file=sys.stderr)
