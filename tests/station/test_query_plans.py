"""No command reads every record, and `status` reads no table whole that grows with the readings."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from station.curves.days import load_day_curves
from station.curves.read import load_curves
from station.export.write import export
from station.registry.zones import set_zone
from station.status import load_status
from station.store.readable_rows import count_hidden
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.station import samples
from tests.station.samples import arrival, picture_arrival

GROWING = {"records", "readings", "animals", "thumbnails", "r", "a", "t"}
"""Tables with a row for each reading, and what the queries call them."""
SMALL = ("readings_not_synchronised", "readings_unsound", "animals_unsound", "readings_by_boot")
"""Indexes that hold few rows, of what is looked for among the many."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    jpeg = samples.picture(1)
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.reading(seq, thumbnail=jpeg if seq == 1 else None), seq) for seq in range(1, 200)])
        store.take([picture_arrival(jpeg), arrival(samples.reading(200, synced=False, boot="boot-2"), 200)])
        store.take([arrival(samples.event(201), 201), arrival(samples.lost(300, 310), 202)])
    return tmp_path


def scans(connection: sqlite3.Connection, statements: list[str]) -> list[str]:
    """Return the steps of the plans that read a table from its beginning to its end."""
    found = []
    for statement in statements:
        if statement.startswith(("SELECT", "WITH")):
            rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            found += [f"{row[3]}: {statement[:200]}" for row in rows if row[3].startswith("SCAN")]
    return found


def statements_of(connection: sqlite3.Connection, work: object) -> list[str]:
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    work()  # type: ignore[operator]
    connection.set_trace_callback(None)
    return statements


def test_status_reads_none_of_the_large_tables_whole(data: Path) -> None:
    with closing(open_for_reading(data)) as connection:
        statements = statements_of(connection, lambda: (load_status(connection), count_hidden(connection)))
        assert len(statements) > 15
        for step in scans(connection, statements):
            assert not reads_a_large_table(step), step


def reads_a_large_table(step: str) -> bool:
    words = step.partition(":")[0].removeprefix("SCAN ").removeprefix("main.").split()
    return words[0] in GROWING and not any(name in step for name in SMALL)


@pytest.mark.parametrize("waits", [False, True], ids=["made", "waiting"])
def test_curves_read_days_and_no_large_table_whole(data: Path, waits: bool) -> None:
    """Where a day waits to be made anew, an index leads to its readings."""
    if waits:
        set_zone(data, "+01:00", None)
    with closing(open_for_reading(data)) as connection:
        statements = statements_of(connection, lambda: load_day_curves(connection, "day"))
        assert any("FROM main.readings r" in one for one in statements) is waits
        assert [step for step in scans(connection, statements) if reads_a_large_table(step)] == []
    statements = []
    with closing(Store.open(data)) as store:
        store._connection.set_trace_callback(statements.append)
        store.take([arrival(samples.reading(210), 210), arrival(samples.correction("boot-2", 1.7e9), 211)])
        store.settle_days()
        store._connection.set_trace_callback(None)
        made = [one for one in statements if "main.readings" in one or "best_correction" in one]
        assert made
        assert [step for step in scans(store._connection, made) if reads_a_large_table(step)] == []


def test_no_command_reads_every_record(data: Path, tmp_path: Path) -> None:
    with closing(open_for_reading(data)) as connection:
        statements = statements_of(connection, lambda: load_status(connection))
        statements += statements_of(connection, lambda: load_curves(connection, "day"))
        statements += statements_of(connection, lambda: export(connection, tmp_path / "out"))
        for step in scans(connection, statements):
            assert not step.startswith(("SCAN records", "SCAN main.records")), step


def test_the_totals_are_the_counts(data: Path) -> None:
    with closing(Store.open(data)) as store:
        jpeg = samples.picture(1)
        for file in (data / "thumbnails").rglob("*.jpg"):
            file.unlink()
        store.take([picture_arrival(jpeg), arrival(samples.event(201), 201), arrival(samples.event(203), 203)])
    with closing(sqlite3.connect(data / "station.db")) as connection:
        totals = connection.execute("SELECT device, records, thumbnails FROM totals").fetchall()
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("records", "thumbnails")
        ]
    assert totals == [("cage-1", *counts)] == [("cage-1", 203, 1)]
