"""How the days are kept: through faults, by the pass over the database, after an upgrade, and what is said of them."""

import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from station.cli import main
from station.curves.days import load_day_curves, weighted_median
from station.days.keep import rebuild, settle_all
from station.registry.subjects import import_subjects
from station.store import schema
from station.store.schema import open_for_reading, open_for_writing
from station.store.store import Store
from tests.campaigns.campaign import quick_folder
from tests.station import samples
from tests.station.samples import arrival
from tests.station.store.faults import Place, fault_at, lines_of
from tests.station.versions import as_version_6

DAYS = str(Path(schema.__file__).parents[1] / "days") + "/"
ALL = os.environ.get("CAGECLOCK_ALL_FAULTS") == "1"
"""A fault at every line: five minutes. Else at some of them."""
FAULTS = (lambda: ValueError("fault"), lambda: sqlite3.OperationalError("database is locked"))


def batch() -> list[object]:
    return [
        *(arrival(samples.reading(seq), seq) for seq in range(1, 20)),
        *(arrival(samples.reading(seq, synced=False, boot="boot-2"), seq) for seq in range(20, 23)),
        arrival(samples.correction("boot-2", 1.7e9), 23),
        arrival(samples.reading(24, synced=False, boot="boot-2"), 24),
    ]


def rows_of(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute("SELECT * FROM days ORDER BY 1, 2, 3, 4, 5, 6, 7").fetchall()]


def assert_right(data: Path) -> None:
    """What waits is made, and then the table is what a rebuild makes."""
    with closing(open_for_writing(data)) as connection:
        settle_all(connection)
        kept = rows_of(connection)
        rebuild(connection)
        assert kept
        assert rows_of(connection) == kept


def places() -> list[Place]:
    with quick_folder() as data, closing(Store.open(data)) as store:
        found = lines_of(lambda: store.take(batch()))  # type: ignore[arg-type]
    return [place for place in found if place[0].startswith(DAYS)]


def test_a_fault_at_any_line_leaves_the_days_right_and_every_record_stored() -> None:
    lines = places()
    assert len(lines) > 80
    for number, place in list(enumerate(lines))[:: 1 if ALL else 13]:
        with quick_folder() as data:
            with closing(Store.open(data)) as store:
                try:
                    with fault_at(place, FAULTS[number % 2], always=False):
                        store.take(batch())  # type: ignore[arg-type]
                except Exception:  # noqa: BLE001 - nothing of it is acknowledged then, and comes again
                    pass
                store.take(batch())  # type: ignore[arg-type]
            with closing(open_for_reading(data)) as connection:
                assert connection.execute("SELECT sum(records) FROM totals").fetchone()[0] >= 23, place
            assert_right(data)


def test_a_day_that_cannot_be_made_waits_is_named_and_stops_no_other(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        with fault_at((f"{DAYS}day.py", _first_line("_row")), FAULTS[0], always=True):
            taken = store.take([arrival(samples.reading(1), 1)])
        assert (taken.stored, taken.quarantined) == (1, 0)
        assert taken.alarms == ["DAYS cage-1: 2026-01-05 cannot be made, its records are stored: ValueError('fault')"]
        assert store.take([arrival(samples.reading(20), 20)]).alarms == []
    with closing(open_for_reading(tmp_path)) as connection:
        assert [row[0] for row in connection.execute("SELECT day FROM days_due")] == ["2026-01-05"]
        assert {row[1] for row in rows_of(connection)} == {"2026-01-06"}
    assert_right(tmp_path)


def test_what_the_pass_over_the_database_puts_right_changes_its_day(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take([*batch(), *(arrival(samples.reading(seq), seq) for seq in (60, 61))])  # type: ignore[list-item]
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        connection.execute("UPDATE animals SET estimate_days = 900 WHERE seq = 3")
        connection.execute("DELETE FROM readings WHERE seq = 14")
        connection.execute("UPDATE records SET body = x'0000' WHERE seq = 60")
        connection.execute("UPDATE clock_corrections SET epoch_offset_s = 1.6e9")
        connection.commit()
    with closing(Store.open(tmp_path)) as store:
        # A late reading has the day made without the one that is missing.
        late = samples.reading(62, at=samples.START + timedelta(hours=15))
        store.take([arrival(late, 62)])
        assert store.verify_part(1.9e9, fresh=True)[0]
        while not store.verify_part(1.9e9)[1]:
            pass
    with closing(open_for_reading(tmp_path)) as connection:
        (number,) = connection.execute("SELECT sum(captures) FROM days WHERE kind = 'place'").fetchone()
        assert number == 25  # one record was damaged
        assert connection.execute("SELECT count(*) FROM days_due").fetchone()[0] == 0
    assert_right(tmp_path)


def test_a_database_of_an_earlier_version_shows_its_curves_before_and_after_the_days_are_made(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take(batch())  # type: ignore[arg-type]
    with closing(open_for_reading(tmp_path)) as connection:
        before = load_day_curves(connection, "day")
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        as_version_6(connection)
    with closing(open_for_reading(tmp_path)) as connection:
        assert load_day_curves(connection, "day") == before
    with closing(Store.open(tmp_path)) as store:
        with closing(open_for_reading(tmp_path)) as connection:
            assert rows_of(connection) == []
            assert load_day_curves(connection, "day") == before
        while store.settle_days():
            pass
    with closing(open_for_reading(tmp_path)) as connection:
        assert rows_of(connection)
        assert load_day_curves(connection, "day") == before
    assert_right(tmp_path)


def test_the_import_command_gives_the_days_to_their_animals_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.reading(1, animals=(samples.animal(90.0, subject=None),)), 1)])
    (tmp_path / "animals.csv").write_text("subject,cage\nM7,cage-1\n")
    assert main(["subjects", "import", str(tmp_path / "animals.csv"), "--data", str(tmp_path)]) == 0
    with closing(open_for_reading(tmp_path)) as connection:
        assert {row[4] for row in rows_of(connection) if row[3] == "animal"} == {"M7"}
        assert connection.execute("SELECT count(*) FROM days_due").fetchone()[0] == 0
    assert main(["days", "rebuild", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 days of cages made anew from the log"


def test_status_says_how_many_days_wait(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take(batch())  # type: ignore[arg-type]
    main(["status", "--data", str(tmp_path)])
    assert "wait to be made anew" not in capsys.readouterr().out
    (tmp_path / "animals.csv").write_text("subject,cage\nM7,cage-1\n")
    import_subjects(tmp_path / "animals.csv", tmp_path)
    main(["status", "--data", str(tmp_path)])
    assert "days: 3 wait to be made anew" in capsys.readouterr().out


def test_days_rebuild_in_a_folder_without_a_station_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["days", "rebuild", "--data", str(tmp_path)]) == 2
    assert "expected a station's folder" in capsys.readouterr().err


def test_a_weighted_median_is_the_median_of_each_value_taken_so_often() -> None:
    assert weighted_median([(1.0, 1), (2.0, 1), (9.0, 1)]) == 2.0
    assert weighted_median([(1.0, 5), (2.0, 1), (9.0, 1)]) == 1.0
    assert weighted_median([(1.0, 2), (3.0, 1), (9.0, 1)]) == 2.0
    assert weighted_median([]) is None


def _first_line(function: str) -> int:
    from station.days import day

    code = getattr(day, function).__code__
    return min(line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno)
