"""The days as they are now: rows of the table, and made from the log where they wait to be made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from station.days.day import DayRow
from station.days.keep import WHOLE, make_day
from station.days.source import days_of_device
from station.registry.attribution import Owners
from station.registry.zones import Zones

_COLUMNS = ", ".join(DayRow._fields)


def load_days(
    connection: sqlite3.Connection, owners: Owners, zones: Zones, devices: Sequence[str] | None = None
) -> list[DayRow]:
    """Return the rows of some devices, of all where none are named, by device and day. Call it inside a transaction."""
    of = "" if devices is None else f"WHERE device IN ({', '.join('?' * len(devices))})"
    named = tuple(devices or ())
    due = {tuple(row) for row in connection.execute(f"SELECT device, day FROM days_due {of}", named).fetchall()}
    rows = connection.execute(f"SELECT {_COLUMNS} FROM days {of}", named).fetchall()
    if not due:
        return [DayRow(*row) for row in rows]
    whole = {device for device, day in due if day == WHOLE}
    wanted = {(device, day) for device, day in due if device not in whole}
    for device in whole:
        wanted |= {(device, day) for day in days_of_device(connection, device, zones.of(device))}
    kept = [DayRow(*row) for row in rows if row[0] not in whole and (row[0], row[1]) not in wanted]
    made = [row for device, day in wanted for row in make_day(connection, device, day, zones.of(device), owners)]
    return sorted(kept + made, key=lambda row: row[:7])


def count_due(connection: sqlite3.Connection) -> int:
    """Return how many days, or whole devices, wait to be made anew."""
    return int(connection.execute("SELECT count(*) FROM days_due").fetchone()[0])
