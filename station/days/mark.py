"""Marks the days whose readings may become another's: the lab's table of animals, a move or a zone has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from station.registry.subject import Subject

_NAMED_BY = """
WITH RECURSIVE name(device) AS (
    SELECT min(device) FROM main.animals WHERE subject = :subject
    UNION ALL
    SELECT (SELECT min(device) FROM main.animals WHERE subject = :subject AND device > name.device)
    FROM name WHERE name.device IS NOT NULL
) SELECT device FROM name WHERE device IS NOT NULL"""


def mark_subjects(connection: sqlite3.Connection, before: Iterable[Subject], after: Iterable[Subject]) -> None:
    """Mark every day of the devices that may see an animal which has changed, in the caller's transaction."""
    earlier, later = ({one.subject: one for one in subjects} for subjects in (before, after))
    devices: set[str] = set()
    for name in {*earlier, *later}:
        versions = [one for one in (earlier.get(name), later.get(name)) if one is not None]
        if len(versions) == 2 and _what_counts(versions[0]) == _what_counts(versions[1]):
            continue
        devices |= {str(row[0]) for row in connection.execute(_NAMED_BY, {"subject": name}).fetchall()}
        for subject in versions:
            for cage, device in [(subject.cage, subject.device), *((s.cage, s.device) for s in subject.stays)]:
                if device is not None:
                    devices.add(device)
                elif cage is not None:
                    rows = connection.execute("SELECT DISTINCT device FROM days WHERE cage = ?", (cage,)).fetchall()
                    devices |= {str(row[0]) for row in rows}
    connection.executemany(
        "INSERT OR IGNORE INTO days_due (device, day) SELECT DISTINCT device, day FROM days WHERE device = ?",
        [(device,) for device in sorted(devices)],
    )


def mark_zone(connection: sqlite3.Connection, device: str | None) -> None:
    """Mark all days of a device, or of every one: where they begin has changed."""
    mark = "INSERT OR IGNORE INTO days_due (device, day) SELECT DISTINCT device, '' FROM"
    where, values = ("", ()) if device is None else (" WHERE device = ?", (device,))
    for table in ("days", "days_due"):
        connection.execute(f"{mark} {table}{where}", values)


def _what_counts(subject: Subject) -> tuple[object, ...]:
    """Return what decides whose a reading is."""
    dates = (subject.date_of_birth, subject.date_of_arrival, subject.date_of_departure, subject.date_of_death)
    return (subject.cage, subject.device, *dates, subject.stays)
