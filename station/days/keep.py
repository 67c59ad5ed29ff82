"""Keeps the table `days` equal to what the log says: the days that a batch touches, and those that wait for it.

What a batch of records changes is made anew before its COMMIT. Where that is more than a few days (devices catch up),
it leaves marks in `days_due` in the same transaction, as do a person's changes (animals, moves, zones) and a database
of an earlier version. They are worked off oldest first, so that a day that fills up is made once. Whoever reads makes
the days that wait from the log itself (`station.days.load`): nothing is ever shown that is out of date.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import tzinfo
from typing import Final

from station.days.day import DayRow, rows_of_day
from station.days.source import day_of, days_of_boot, days_of_device, seen_on
from station.registry.attribution import Owners
from station.registry.subjects import load_subjects
from station.registry.zones import Zones, load_zones

WHOLE: Final = ""
"""In `days_due`, in place of a day: all of a device's days."""
_INSERT: Final = f"INSERT INTO days VALUES ({', '.join('?' * len(DayRow._fields))})"
_DAYS_A_PART: Final = 50
_PAUSE_S: Final = 0.02
"""Between two parts, so that the logger finds its turn."""


class DayKeeper:
    """Of one writer's connection; everything happens inside the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Nothing is touched yet."""
        self._connection = connection
        self._version: object = None
        self._zones = Zones()
        self._owners = Owners((), self._zones)
        self._failed: set[tuple[str, str]] = set()
        self.troubles: list[str] = []
        """Days that this program failed on, for a person; whoever has said it empties the list."""
        self.begin()

    def begin(self) -> None:
        """Begin a batch: forget what an unfinished one touched."""
        self._looked = False
        self._touched: set[tuple[str, str]] = set()
        self._boots: set[tuple[str, str]] = set()
        self._linked: set[str] = set()

    def note_reading(self, device: str, captured_s: float, boot: str, monotonic_s: float, *, synced: bool) -> None:
        """Note that a reading came or went."""
        self._note(device, captured_s)
        if not synced:
            row = self._connection.execute(
                "SELECT epoch_offset_s FROM best_correction WHERE device = ? AND of_boot_id = ?", (device, boot)
            ).fetchone()
            if row is not None:
                self._note(device, monotonic_s + row[0])

    def note_boot(self, device: str, boot: str) -> None:
        """Note, before it happens, that the time of a boot's readings may change."""
        if (device, boot) not in self._boots:
            self._boots.add((device, boot))
            self._note_days(device, days_of_boot(self._connection, device, boot, self._zone(device)))

    def note_epochs(self, device: str) -> None:
        """Note, before it happens, that the order of a device's epochs may change, and with it which correction holds.

        Only where a boot has several.
        """
        if device not in self._linked:
            self._linked.add(device)
            for (boot,) in self._connection.execute(
                "SELECT of_boot_id FROM clock_corrections WHERE device = ? GROUP BY of_boot_id HAVING count(*) > 1",
                (device,),
            ).fetchall():
                self.note_boot(device, boot)

    def settle(self, most: int) -> int:
        """Make the touched days anew and those that wait, not more than `most`; return how many of the latter.

        Touched ones of which there are more wait too.
        """
        for device, boot in self._boots:
            self._note_days(device, days_of_boot(self._connection, device, boot, self._zone(device)))
        touched = sorted(self._touched)
        self.begin()
        if len(touched) > most:
            self._connection.executemany("INSERT OR IGNORE INTO days_due (device, day) VALUES (?, ?)", touched)
            return self._settle_due(most)
        for device, day in touched:
            self._make(device, day)
        return self._settle_due(most - len(touched))

    def _settle_due(self, most: int) -> int:
        if most < 1:
            return 0
        rows = self._connection.execute(
            "SELECT device, day FROM days_due ORDER BY day, device LIMIT ?", (most + len(self._failed),)
        ).fetchall()
        rows = [row for row in rows if row not in self._failed][:most]
        for row in rows:
            device, day = row
            if day == WHOLE:
                self._connection.execute("DELETE FROM days WHERE device = ?", (device,))
                self._connection.executemany(
                    "INSERT OR IGNORE INTO days_due (device, day) VALUES (?, ?)",
                    [(device, one) for one in sorted(days_of_device(self._connection, device, self._zone(device)))],
                )
                self._connection.execute("DELETE FROM days_due WHERE device = ? AND day = ?", row)
            else:
                self._make(device, day)
        return len(rows)

    def _make(self, device: str, day: str) -> None:
        """Make a day anew; one that this program fails on waits until its next start, and costs no other."""
        try:
            rows = make_day(self._connection, device, day, self._zone(device), self._owners)
        except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            self._connection.execute("INSERT OR IGNORE INTO days_due (device, day) VALUES (?, ?)", (device, day))
            if (device, day) not in self._failed:
                self._failed.add((device, day))
                self.troubles.append(f"DAYS {device}: {day} cannot be made, its records are stored: {error!r}")
            return
        self._connection.execute("DELETE FROM days WHERE device = ? AND day = ?", (device, day))
        self._connection.executemany(_INSERT, rows)
        self._connection.execute("DELETE FROM days_due WHERE device = ? AND day = ?", (device, day))

    def _note(self, device: str, at_s: object) -> None:
        day = day_of(at_s, self._zone(device))
        if day is not None:
            self._touched.add((device, day))

    def _note_days(self, device: str, days: set[str]) -> None:
        self._touched |= {(device, day) for day in days}

    def _zone(self, device: str) -> tzinfo:
        """Return a room's zone; animals and zones are read again where another program has written.

        Which is asked once a batch: while its transaction lasts nobody else writes.
        """
        if self._looked:
            return self._zones.of(device)
        self._looked = True
        version = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._zones = load_zones(self._connection)
            self._owners = Owners(load_subjects(self._connection), self._zones)
            self._version = version
        return self._zones.of(device)


def make_day(connection: sqlite3.Connection, device: str, day: str, zone: tzinfo, owners: Owners) -> list[DayRow]:
    """Return the rows of a day as the log says it now."""
    return rows_of_day(device, day, seen_on(connection, device, day, zone), owners)


def settle_all(connection: sqlite3.Connection, progress: Callable[[int], None] = lambda _: None) -> int:
    """Make all days that wait, some dozens a transaction, beside a running station; return how many.

    connection: of `open_for_writing`, in autocommit mode.
    """
    keeper, done = DayKeeper(connection), 0
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            number = keeper.settle(_DAYS_A_PART)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        if number == 0:
            return done
        done += number
        progress(done)
        time.sleep(_PAUSE_S)


def rebuild(connection: sqlite3.Connection, progress: Callable[[int], None] = lambda _: None) -> int:
    """Make every day anew from the log; return how many. What a kill interrupts goes on with the station."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM days")
    connection.execute("DELETE FROM days_due")
    connection.execute(f"INSERT INTO days_due (device, day) SELECT device, '{WHOLE}' FROM ({DEVICES}) AS one")
    connection.execute("COMMIT")
    settle_all(connection, progress)
    return int(connection.execute("SELECT count(*) FROM (SELECT DISTINCT device, day FROM days) AS one").fetchone()[0])


DEVICES: Final = """
WITH RECURSIVE name(device) AS (
    SELECT min(device) FROM main.readings
    UNION ALL
    SELECT (SELECT min(device) FROM main.readings WHERE device > name.device) FROM name WHERE name.device IS NOT NULL
) SELECT device FROM name WHERE device IS NOT NULL"""
"""Every device with a reading, by one look into an index each."""
