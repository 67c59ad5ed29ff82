"""The tidy CSV files: what a choice of animals, cages and times writes, in what order, and with how much memory."""

import csv
import sqlite3
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from station.cli import main
from station.export.choice import Choice
from station.export.write import export
from station.registry.subjects import import_subjects
from station.registry.zones import set_zone
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.station import samples
from tests.station.samples import START, arrival


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Cage-1 with M1 and, after its death, M2; cage-2 with a pair; boots whose clock was set late, or never."""
    data = tmp_path / "data"
    first = samples.days([(d, 100 + d) for d in range(10)], expected=1)
    empty = samples.reading(20, animals=(), accepted=False, at=START + timedelta(days=2.5))
    pair = (samples.animal(200, subject=None), samples.animal(300, subject=None, accepted=False))
    second = [
        arrival(
            samples.reading(n, device="cage-2", cage="cage-2", at=START + timedelta(days=n), animals=pair),
            n,
            device="cage-2",
            epoch="e" * 32,
        )
        for n in range(1, 5)
    ]
    late = [arrival(samples.reading(30 + n, synced=False, boot="late"), 30 + n) for n in range(3)]
    never = [arrival(samples.reading(40 + n, synced=False, boot="never"), 40 + n) for n in range(2)]
    ahead = samples.days([(0, 5)], seq=50, since=datetime(2031, 6, 1, tzinfo=UTC))
    moved = samples.correction("late", START.timestamp() + 3 * 86400 - 1000)
    with closing(Store.open(data)) as store:
        store.take([*first, arrival(empty, 20), *second, *late, *never, *ahead, arrival(moved, 60)])
        store.take([arrival(samples.event(61), 61), arrival(samples.lost(70, 71), 62)])
    table = tmp_path / "animals.csv"
    died = (START + timedelta(days=4)).date()
    table.write_text(f"subject,cage,date_of_death,date_of_arrival\nM1,cage-1,{died},\nM2,cage-1,,{died}\n")
    import_subjects(table, data)
    return data


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="") as file:
        return list(csv.DictReader(file))


def write(data: Path, folder: Path, *words: str) -> int:
    return main(["export", "--data", str(data), "--out", str(folder), *words])


def test_the_rows_are_those_of_the_log_s_own_views_in_the_order_of_time(lab: Path, tmp_path: Path) -> None:
    assert write(lab, tmp_path) == 0
    found = [(r["device"], r["epoch"], int(r["seq"]), r["time_basis"]) for r in rows(tmp_path, "readings.csv")]
    with closing(open_for_reading(lab)) as connection:
        expected = connection.execute(
            "SELECT device, epoch, seq, time_basis FROM timed_readings r ORDER BY device,"
            " time_basis != 'unsynchronised', CASE time_basis WHEN 'unsynchronised' THEN 0 ELSE at_s END, starts, seq"
        ).fetchall()
        animals = connection.execute("SELECT count(*) FROM animals").fetchone()[0]
    assert found == [tuple(row) for row in expected]
    assert {row[3] for row in found} == {"synchronised", "corrected", "unsynchronised", "ahead"}
    assert len(rows(tmp_path, "animals.csv")) == animals
    [corrected] = [r for r in rows(tmp_path, "readings.csv") if r["seq"] == "30"]
    assert corrected["captured_at"] == "2026-01-08T12:00:30.000Z"


def test_of_one_animal_come_its_estimates_and_the_captures_in_which_it_was_not_found(lab: Path, tmp_path: Path) -> None:
    assert write(lab, tmp_path, "--subject", "M1") == 0
    animals = rows(tmp_path, "animals.csv")
    assert {r["subject"] for r in animals} == {"M1"}
    days = sorted(int(r["seq"]) for r in animals)
    assert days == [1, 2, 3, 4, 30, 31, 32]  # the day of its death is M2's too, so that it is neither's
    readings = sorted(int(r["seq"]) for r in rows(tmp_path, "readings.csv"))
    assert readings == sorted([*days, 20])
    assert [r["subject"] for r in rows(tmp_path, "subjects.csv")] == ["M1"]
    assert len(rows(tmp_path, "events.csv")) == 1


def test_of_a_cage_comes_what_was_seen_in_it_and_accepted_estimates_on_request(lab: Path, tmp_path: Path) -> None:
    assert write(lab, tmp_path, "--cage", "cage-2", "--accepted") == 0
    assert {r["cage"] for r in rows(tmp_path, "readings.csv")} == {"cage-2"}
    animals = rows(tmp_path, "animals.csv")
    assert [r["estimate_days"] for r in animals] == ["200.0"] * 4
    assert rows(tmp_path, "losses.csv") == []


def test_a_span_of_days_is_the_room_s_and_leaves_out_what_has_no_time(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def seqs(*words: str) -> list[int]:
        assert write(lab, tmp_path, "--cage", "cage-1", *words) == 0
        return sorted(int(r["seq"]) for r in rows(tmp_path, "readings.csv"))

    assert seqs("--since", "2026-01-07", "--until", "2026-01-08") == [3, 4, 20, 30, 31, 32]
    assert "left out: 2 readings of which nobody knows when they were" in capsys.readouterr().err
    set_zone(lab, "+13:00", None)  # noon in UTC is tomorrow there
    assert seqs("--since", "2026-01-07", "--until", "2026-01-08") == [2, 3, 20]
    assert seqs("--since", "2026-01-07T12:00+00:00", "--until", "2026-01-08T12:00Z") == [3, 20]
    assert seqs("--since", "2031-01-01") == [50]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--since", "2026-01-07T12:00"], "which is another time in each zone"),
        (["--since", "7.1.2026"], "--since: expected a day (2026-03-01) or a time"),
        (["--since", "2026-01-08", "--until", "2026-01-07"], "expected a time after --since 2026-01-08"),
        (["--subject", "m1"], "--subject: expected an animal of the lab's table or of a reading, got 'm1'"),
        (["--cage", "cage-9"], "--cage: expected a cage of the lab's table or of a reading, got 'cage-9'"),
    ],
)
def test_a_choice_that_is_none_is_named_and_writes_nothing(
    lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    assert write(lab, tmp_path / "out", *words) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_month_costs_a_month_s_readings(lab: Path, tmp_path: Path) -> None:
    """Both halves of a span, of clocks that were set and of those corrected later, are found by an index."""
    choice = Choice(since=START.date(), until=START.date())
    with closing(open_for_reading(lab)) as connection:
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        export(connection, tmp_path, choice)
        connection.set_trace_callback(None)
        [query] = [one for one in statements if "px_per_mm" in one and "'cage-1'" in one]
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()]
    assert any("INDEX readings_by_time (device=? AND captured_s>? AND captured_s<?)" in one for one in plan)
    assert any("INDEX readings_not_synchronised (device=?)" in one for one in plan)
    assert "SEARCH r USING PRIMARY KEY (device=? AND epoch=? AND seq=?)" in plan


def test_ten_times_the_readings_take_no_more_memory(lab: Path, tmp_path: Path) -> None:
    def peak() -> int:
        with closing(open_for_reading(lab)) as connection:
            tracemalloc.start()
            export(connection, tmp_path)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return most

    multiply(lab, 40)
    few = peak()
    multiply(lab, 10)
    many = peak()
    assert len(rows(tmp_path, "readings.csv")) > 6_000
    assert many < 1.5 * few


def multiply(data: Path, times: int) -> None:
    """Store each reading of cage-1 as often under further numbers."""
    with closing(sqlite3.connect(data / "station.db")) as connection:
        (step,) = connection.execute("SELECT max(seq) FROM readings").fetchone()
        for table in ("readings", "animals"):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            select = ", ".join(f"seq + n.n * {step}" if name == "seq" else name for name in names)
            connection.execute(
                f"WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {times - 1}) "
                f"INSERT INTO {table} SELECT {select} FROM {table}, n WHERE device = 'cage-1'"
            )
        connection.commit()
