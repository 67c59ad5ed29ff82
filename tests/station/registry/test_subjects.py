"""The lab's table of animals: an import adds and changes what it names, and erases nothing else."""

import csv
import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge.errors import OperatorError
from station.registry.merge import Change, draw_import
from station.registry.subject import Subject
from station.registry.subjects import import_subjects, load_subjects, write_subjects
from station.store import schema
from station.store.tables import VERSION
from station.store.upgrade import bring_up_to_date
from tests.station.versions import as_version_2

FULL = "subject,strain,sex,date_of_birth,cage,arm\nM1,C57BL/6J,F,2025-08-14,cage07,control\nM2,,,,cage08,\n"


def take(data: Path, text: str, *, dry_run: bool = False):
    (data / "animals.csv").write_text(text)
    return import_subjects(data / "animals.csv", data, dry_run=dry_run)


def held(data: Path) -> list[Subject]:
    with closing(schema.open_for_reading(data)) as connection:
        return load_subjects(connection)


M1 = Subject("M1", strain="C57BL/6J", sex="female", date_of_birth="2025-08-14", cage="cage07", arm="control")
M2 = Subject("M2", cage="cage08")


def test_a_second_table_adds_a_date_and_erases_nothing(tmp_path: Path) -> None:
    assert take(tmp_path, FULL).added == ("M1", "M2")
    found = take(tmp_path, "subject,date_of_death\nM1,2026-01-01\n")
    assert found.changed == (Change("M1", "date_of_death", None, "2026-01-01"),)
    assert found.not_named == ("M2",)
    assert held(tmp_path)[0] == Subject(**{**_fields(M1), "date_of_death": "2026-01-01"})
    assert draw_import(found).splitlines() == [
        "changed  M1: date_of_death: empty -> 2026-01-01",
        "0 animals added, 1 changed, 0 left as they were; 1 known animals that the file does not name stay",
    ]


def test_an_empty_cell_keeps_what_is_known_and_clear_empties_it(tmp_path: Path) -> None:
    take(tmp_path, FULL)
    assert take(tmp_path, "subject,strain,arm,sex\nM1,,,\nM2,,,\n").same == ("M1", "M2")
    assert held(tmp_path) == [M1, M2]
    found = take(tmp_path, "subject,strain,arm\nM1,,(clear)\n")
    assert found.changed == (Change("M1", "arm", "control", None),)
    assert held(tmp_path)[0] == Subject(**{**_fields(M1), "arm": None})


@pytest.mark.parametrize("cell", ["2025-08-14T00:00:00+02:00", "2025-08-14T23:30:00-05:00", "2025-08-14 00:00"])
def test_a_date_with_a_clock_time_is_the_day_that_stands_there(tmp_path: Path, cell: str) -> None:
    """Programs write a day as its midnight in their own zone: in UTC that was the day before."""
    take(tmp_path, f"subject,date_of_birth\nM1,{cell}\n")
    assert held(tmp_path)[0].date_of_birth == "2025-08-14"


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    nowhere = tmp_path / "new"
    (tmp_path / "f.csv").write_text(FULL)
    assert import_subjects(tmp_path / "f.csv", nowhere, dry_run=True).added == ("M1", "M2")
    assert not nowhere.exists()
    take(tmp_path, FULL)
    text = "subject,cage,arm\nM1,cage09,\nM3,,x\n"
    dry = take(tmp_path, text, dry_run=True)
    assert held(tmp_path) == [M1, M2]
    assert take(tmp_path, text) == dry
    assert draw_import(dry, dry_run=True).endswith("a dry run, nothing was written")


def test_a_wrong_row_costs_itself_and_is_named(tmp_path: Path) -> None:
    text = "subject,sex,cage\nM1,F,a\nM2,x,b\nM3,,c\nM3,,d\nM4,M,e\n"
    found = take(tmp_path, text)
    assert found.added == ("M1", "M4")
    assert [sentence.partition(", ")[2] for sentence in found.refused] == [
        "line 3: sex: expected female, male, unknown, got 'x'",
        "lines 4, 5: subject 'M3' stands there twice; expected one row",
    ]
    assert [subject.subject for subject in held(tmp_path)] == ["M1", "M4"]


def test_a_date_is_compared_with_those_that_are_known_already(tmp_path: Path) -> None:
    take(tmp_path, FULL)
    found = take(tmp_path, "subject,date_of_death,cage\nM1,2025-01-01,\nM2,,cage10\n")
    [sentence] = found.refused
    assert sentence.endswith("line 2: subject 'M1': date_of_death 2025-01-01 lies before date_of_birth 2025-08-14")
    assert held(tmp_path) == [M1, Subject("M2", cage="cage10")]
    with pytest.raises(OperatorError, match="stands there twice"):
        take(tmp_path, "subject\nM1\nM1\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("subject,date_of_birth\nM1,0203-06-20\n", "six years back (no mouse lives longer), got 0203-06-20"),
        ("subject,date_of_birth\nM1,203-06-20\n", "expected YYYY-MM-DD, got '203-06-20'"),
        ("subject,date_of_birth\nM1,2015-06-20\n", "six years back"),
        ("subject,date_of_arrival\nM1,2205-06-20\n", "date_of_arrival: expected no day after today"),
        ("subject,date_of_departure\nM1,1926-01-20\n", "date_of_departure: expected a day since"),
        ("subject,date_of_death\nM1,2205-06-20\n", "date_of_death: expected no day after today"),
        ("subject,date_of_birth,date_of_arrival\nM1,2026-02-02,2026-02-01\n", "date_of_arrival 2026-02-01 lies before"),
        ("subject,date_of_arrival,date_of_departure\nM1,2026-02-02,2026-02-01\n", "date_of_departure 2026-02-01 lies"),
        ("subject,date_of_departure,date_of_death\nM1,2026-02-02,2026-02-01\n", "date_of_death 2026-02-01 lies before"),
    ],
)
def test_a_date_that_cannot_be_is_refused_with_what_was_expected(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "animals.csv").write_text(text)
    with pytest.raises(OperatorError) as caught:
        import_subjects(tmp_path / "animals.csv", tmp_path / "data")
    assert why in str(caught.value)
    assert "animals.csv, line 2: " in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_today_and_yesterday_are_dates_that_can_be(tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    take(tmp_path, f"subject,date_of_birth,date_of_arrival\nM1,{today - timedelta(days=2000)},{today}\n")
    assert held(tmp_path)[0].date_of_arrival == str(today)


def test_what_list_prints_is_no_formula_and_reads_back_as_it_was(tmp_path: Path) -> None:
    names = ["=HYPERLINK(1)", "+M1", "-M2", "@x", "'=y", "'quoted'", "plain"]
    with (tmp_path / "odd.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["subject", "notes"], *([name, "-3.5"] for name in names)])
    import_subjects(tmp_path / "odd.csv", tmp_path)
    before, printed = held(tmp_path), io.StringIO()
    with closing(schema.open_for_reading(tmp_path)) as connection:
        write_subjects(connection, printed)
    rows = list(csv.DictReader(io.StringIO(printed.getvalue())))
    assert not [row["subject"] for row in rows if row["subject"].startswith(("=", "+", "-", "@"))]
    assert {row["notes"] for row in rows} == {"-3.5"}
    (tmp_path / "again.csv").write_text(printed.getvalue())
    found = import_subjects(tmp_path / "again.csv", tmp_path)
    assert (len(found.same), found.added, found.changed) == (len(names), (), ())
    assert held(tmp_path) == before


def _as_version_1(data: Path) -> None:
    """Make the database what version 1 of the program left behind, with one animal."""
    schema.open_for_writing(data).close()
    with closing(sqlite3.connect(data / schema.DATABASE, isolation_level=None)) as connection:
        as_version_2(connection)
        connection.execute("ALTER TABLE subjects DROP COLUMN date_of_arrival")
        connection.execute("ALTER TABLE subjects DROP COLUMN date_of_departure")
        connection.execute("INSERT INTO subjects (subject, cage) VALUES ('M1', 'cage07')")
        connection.execute("PRAGMA user_version=1")


def test_a_database_of_version_1_is_read_as_it_is_and_brought_up_to_date_by_the_first_that_writes(
    tmp_path: Path,
) -> None:
    _as_version_1(tmp_path)
    assert held(tmp_path) == [Subject("M1", cage="cage07")]
    assert _version(tmp_path) == 1
    take(tmp_path, "subject,date_of_arrival\nM1,2026-01-02\n")
    assert _version(tmp_path) == VERSION
    assert held(tmp_path) == [Subject("M1", cage="cage07", date_of_arrival="2026-01-02")]
    fresh = tmp_path / "fresh"
    schema.open_for_writing(fresh).close()
    assert _columns(tmp_path) == _columns(fresh)


class Killed(BaseException):
    """What ends the program in the middle."""


class Dying(sqlite3.Connection):
    """A connection that lives for so many statements."""

    left = 0

    def execute(self, *of):
        """Run a statement, or die before it."""
        if self.left == 0:
            raise Killed
        self.left -= 1
        return super().execute(*of)


def test_an_update_that_is_killed_before_any_statement_goes_on_next_time(tmp_path: Path) -> None:
    kills = 0
    for lives in range(40):
        data = tmp_path / str(lives)
        _as_version_1(data)
        connection = sqlite3.connect(data / schema.DATABASE, isolation_level=None, factory=Dying)
        connection.left = lives
        try:
            bring_up_to_date(connection, lambda _text: None)
            break
        except Killed:
            kills += 1
        finally:
            connection.close()
        schema.open_for_writing(data).close()
        assert _version(data) == VERSION
        assert held(data) == [Subject("M1", cage="cage07")]
    assert kills >= 5


def _version(data: Path) -> int:
    with closing(sqlite3.connect(data / schema.DATABASE)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def _columns(data: Path) -> list:
    with closing(sqlite3.connect(data / schema.DATABASE)) as connection:
        return [row[1:3] for row in connection.execute("PRAGMA table_info(subjects)")]


def _fields(subject: Subject) -> dict[str, str | None]:
    return {name: getattr(subject, name) for name in Subject.__dataclass_fields__}
