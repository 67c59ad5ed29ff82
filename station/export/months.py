"""The months of the log, and what shows whether one has changed since it was archived."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, date, datetime, timedelta

from edge.errors import OperatorError

UNKNOWN = "unknown"
"""In the place of a month: readings of which nobody knows when they were."""
_ALL_OF_A_DEVICE = "SELECT device FROM days_due WHERE day = '' LIMIT 1"
_MONTHS = "SELECT DISTINCT substr(day, 1, 7) FROM days UNION SELECT DISTINCT substr(day, 1, 7) FROM days_due"
_MADE = "SELECT * FROM days WHERE day BETWEEN ? AND ? ORDER BY device, day, cage, kind, name, reason, about"
_DUE = "SELECT device, day FROM days_due WHERE day BETWEEN ? AND ? ORDER BY device, day"
_NEVER_SET = "SELECT 1 FROM main.readings WHERE clock_synced IS NOT 1 LIMIT 1"
_UNKNOWN = "SELECT device, count(*) FROM main.readings WHERE clock_synced IS NOT 1 GROUP BY device ORDER BY device"


def find_months(connection: sqlite3.Connection) -> list[str]:
    """Return the months (YYYY-MM, in UTC) that may have readings, in order, and `UNKNOWN` last where there are such.

    Raises:
        OperatorError: the table of days, from which they are known, waits to be made.
    """
    if connection.execute(_ALL_OF_A_DEVICE).fetchone():
        raise OperatorError(
            "archive: the table of days waits to be made anew; let the station run, or run `days rebuild` first"
        )
    found: set[str] = set()
    for (month,) in connection.execute(_MONTHS).fetchall():
        first, after = bounds_of(str(month))
        # A day of the room may lie in the month before or after in UTC.
        found |= {f"{one:%Y-%m}" for one in (first - timedelta(days=1), first, after)}
    months = sorted(found)
    return [*months, UNKNOWN] if connection.execute(_NEVER_SET).fetchone() else months


def bounds_of(month: str) -> tuple[datetime, datetime]:
    """Return the instants, half open, of a month in UTC."""
    first = date.fromisoformat(f"{month}-01")
    after = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    begins, ends = (datetime(day.year, day.month, 1, tzinfo=UTC) for day in (first, after))
    return begins, ends


def fingerprint(connection: sqlite3.Connection, month: str, form: str) -> str:
    """Return what changes whenever the month's rows do: late readings, corrected clocks, another animal's.

    The days of the month say all that; those that wait to be made anew count as changed. form: of the files.
    """
    digest = hashlib.sha256(form.encode())
    if month == UNKNOWN:
        rows = connection.execute(_UNKNOWN).fetchall()
        rows += connection.execute("SELECT device, of_boot_id FROM main.clock_corrections ORDER BY 1, 2").fetchall()
    else:
        begins, ends = bounds_of(month)
        days = (f"{begins - timedelta(days=1):%Y-%m-%d}", f"{ends:%Y-%m-%d}")
        rows = [*connection.execute(_MADE, days).fetchall(), *connection.execute(_DUE, days).fetchall()]
    for row in rows:
        digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
