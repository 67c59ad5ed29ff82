"""What a person at the lab's server types: show, export, status, subjects; and what it answers."""

import csv
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from edge.contract.reading import Light, Outcome
from station.export.columns import FILES
from station.store.store import Store
from tests.station import samples
from tests.station.running import ROOT
from tests.station.samples import NOTICE, START, arrival, picture_arrival


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "station.cli", *map(str, words)], capture_output=True, text=True, cwd=ROOT, timeout=300
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cages: cage-1 with one named animal over 20 weeks, cage-2 with two animals that nothing tells apart."""
    data = tmp_path_factory.mktemp("lab")
    jpeg = samples.picture(3)
    messages = []
    for seq in range(1, 61):
        at = START + timedelta(days=2.3 * seq)
        accepted = seq % 4 != 0
        light = Light.LIGHT if seq % 3 == 0 else Light.DARK
        found = (samples.animal(100 + 2 * seq, accepted=accepted),) if seq % 5 else ()
        messages.append(
            arrival(
                samples.reading(
                    seq,
                    at=at,
                    light=light,
                    age_days=100 + 2 * seq,
                    accepted=accepted and bool(found),
                    animals=found,
                    outcome=Outcome.OK if found else Outcome.IN_NEST,
                    model_sha=("a" if seq < 40 else "b") * 64,
                    thumbnail=jpeg if seq == 3 else None,
                ),
                seq,
            )
        )
        pair = (samples.animal(200, subject=None), samples.animal(300, subject=None))
        second = samples.reading(seq, device="cage-2", cage="cage-2", at=at, animals=pair)
        messages.append(arrival(second, seq, device="cage-2", epoch="e" * 32))
    messages += [picture_arrival(jpeg), arrival(samples.event(61, "camera_moved", text="the view moved"), 61)]
    messages.append(arrival(samples.lost(70, 71), 62))
    with closing(Store.open(data)) as store:
        store.take(messages)
    table = data / "animals.csv"
    table.write_text("subject,strain,sex,date_of_birth,cage,device\nM1,C57BL/6J,F,2025-10-01,cage-1,cage-1\n")
    done = run("subjects", "import", table, "--data", data)
    assert (done.returncode, done.stdout) == (0, "added    M1\n1 animals added, 0 changed, 0 left as they were\n")
    return data


def test_show_prints_a_line_a_window_with_the_model_s_notice_above(lab: Path) -> None:
    done = run("show", "--data", lab, "--by", "month")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"NOTE  {NOTICE}"
    assert "M1: C57BL/6J, female, cage cage-1, born 2025-10-01" in lines
    assert "cage cage-2 (animals not told apart): C57BL/6J" in lines
    assert any("model: model aaaaaaaa → bbbbbbbb" in line for line in lines)
    assert any("camera: the view moved" in line for line in lines)
    assert "gap*" in done.stdout
    [january] = [line for line in lines if line.startswith("  2026-01-01")][:1]
    assert january.split()[1:4] == ["15.6", "16.0", "10.3"]


def test_show_of_one_animal_leaves_out_the_others_and_an_unknown_one_is_named(lab: Path) -> None:
    assert "cage-2" not in run("show", "--data", lab, "--subject", "M1").stdout
    unknown = run("show", "--data", lab, "--subject", "M9")
    assert unknown.returncode == 2
    assert unknown.stderr == "cageclock-station: show: no readings of 'M9'; there are M1, cage-2\n"


def test_rejected_estimates_are_shown_only_on_request(lab: Path) -> None:
    def readings(*more: str) -> int:
        text = run("show", "--data", lab, "--subject", "M1", "--by", "month", *more).stdout
        return sum(int(line.split()[-3]) for line in text.splitlines() if line.startswith("  2026"))

    assert readings() == 36
    assert readings("--include-rejected") == 48


@pytest.mark.parametrize("by", ["day", "month"])
def test_show_draws_a_picture_with_a_panel_for_each_curve(lab: Path, tmp_path: Path, by: str) -> None:
    from PIL import Image

    target = tmp_path / "new" / "curves.png"
    done = run("show", "--data", lab, "--by", by, "--png", target, "--include-rejected")
    assert done.returncode == 0, done.stderr
    with Image.open(target) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1200
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 100


def test_a_picture_that_cannot_be_written_is_one_line(lab: Path) -> None:
    done = run("show", "--data", lab, "--png", "/proc/nowhere/curves.png")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "the picture cannot be written" in done.stderr


def test_the_export_and_its_dictionary_name_the_same_columns(lab: Path, tmp_path: Path) -> None:
    done = run("export", "--data", lab, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "out" / "data_dictionary.csv").open(newline="") as file:
        dictionary = list(csv.DictReader(file))
    for table in FILES:
        with (tmp_path / "out" / table.name).open(newline="") as file:
            rows = list(csv.DictReader(file))
            names = rows[0].keys() if rows else []
        described = {row["column"]: row for row in dictionary if row["file"] == table.name}
        assert not rows or list(names) == list(described)
        for row in rows:
            for name, value in row.items():
                check(described[name]["type"], value)
    assert all(row["meaning"] for row in dictionary)
    assert not list((tmp_path / "out").glob("*.tmp"))


def check(kind: str, value: str) -> None:
    from datetime import date, datetime

    if value == "":
        return
    if kind == "time":
        assert datetime.fromisoformat(value).tzinfo is not None
    elif kind == "date":
        date.fromisoformat(value)
    elif kind == "integer":
        int(value)
    elif kind == "number":
        float(value)
    elif kind == "boolean":
        assert value in ("0", "1")
    else:
        assert kind == "text"


def test_the_export_has_a_row_for_every_reading_and_every_animal(lab: Path, tmp_path: Path) -> None:
    done = run("export", "--data", lab, "--out", tmp_path)
    counts = {line.split()[2].rsplit("/")[-1]: int(line.split()[0]) for line in done.stdout.splitlines()}
    assert counts == {"readings.csv": 120, "animals.csv": 168, "events.csv": 1, "losses.csv": 1, "subjects.csv": 1}
    with (tmp_path / "readings.csv").open(newline="") as file:
        [with_picture] = [row for row in csv.DictReader(file) if row["thumbnail"]]
    assert (lab / with_picture["thumbnail"]).is_file()


def test_every_column_of_the_lab_s_readings_table_is_exported() -> None:
    from station.store.tables import TABLES

    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES)
        columns = {row[1] for row in connection.execute("PRAGMA table_info(animals)")}
    # subject by way of whose_subject: a name outside its animal's dates is not given on.
    names = {column.name for table in FILES for column in table.columns} | {"number"}
    sources = {column.source.removeprefix("a.") for table in FILES for column in table.columns}
    assert columns <= sources | names


def test_status_counts_per_device_and_says_with_its_exit_code_whether_a_person_is_needed(lab: Path) -> None:
    done = run("status", "--data", lab)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()[1:3]
    assert first.split()[6:12] == ["62", "1", "7", "2", "0", "0"]
    assert second.split()[6:12] == ["60", "0", "0", "0", "0", "0"]


def test_a_folder_without_a_database_is_named(tmp_path: Path) -> None:
    for words in (("show",), ("status",), ("export", "--out", tmp_path)):
        done = run(*words, "--data", tmp_path)
        assert done.returncode == 2
        assert "expected a station's database, found none" in done.stderr


def test_an_empty_station_says_so(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    assert run("show", "--data", tmp_path).stdout == "no readings yet\n"
    assert run("status", "--data", tmp_path).stdout.startswith("no device was heard of yet\nstation: none is known")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name,strain\nM1,x\n", "unknown name"),
        ("strain\nx\n", "no column subject"),
        ("subject,colour\nM1,black\n", "unknown colour"),
        ("subject,date_of_birth\nM1,1.2.2026\n", "line 2: date_of_birth: expected YYYY-MM-DD, got '1.2.2026'"),
        ("subject,sex\nM1,x\n", "line 2: sex: expected female, male, unknown"),
        ("subject\nM1\nM1\n", "stands there twice"),
        ("subject,sex\n,f\n", "line 2: expected a name"),
        ("subject,sex\nM1\n", "line 2: expected 2 cells, got 1"),
        ("subject,date_of_birth,date_of_death\nM1,2026-02-01,2026-01-01\n", "lies before date_of_birth"),
        (
            "subject,date_of_birth\nM1,2205-06-20\n",
            "line 2: date_of_birth: expected no day after today, got 2205-06-20",
        ),
        ("subject,notes\nM1,\x1b[2J\n", r"line 2: notes: expected text without control characters, got '\x1b[2J'"),
        ("subject,notes\n(clear),x\n", "expected a name under subject, got (clear)"),
    ],
)
def test_a_wrong_row_of_the_table_is_named_and_nothing_is_imported(tmp_path: Path, text: str, why: str) -> None:
    table = tmp_path / "animals.csv"
    table.write_text(text)
    done = run("subjects", "import", table, "--data", tmp_path / "data")
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_an_exported_table_of_animals_can_be_read_again(lab: Path, tmp_path: Path) -> None:
    printed = run("subjects", "list", "--data", lab).stdout
    (tmp_path / "again.csv").write_text(printed)
    assert run("subjects", "import", tmp_path / "again.csv", "--data", lab).returncode == 0
    assert run("subjects", "list", "--data", lab).stdout == printed
