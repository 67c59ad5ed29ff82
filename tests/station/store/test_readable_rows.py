"""Every reader passes over what it cannot use, says how much that is, and reads the rest."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from station.cli import main
from station.store.store import Store
from tests.station import samples
from tests.station.samples import arrival

FAR = [253402300799.0, -62135596800.0, 1e300, -1e300, 1e18, "'never'", "x'00ff'", 7.3e9]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    with closing(Store.open(folder)) as store:
        store.take([arrival(samples.reading(seq), seq) for seq in range(1, 9)])
        store.take([arrival(samples.event(9, "camera_moved"), 9), arrival(samples.correction("boot-9", 1.7e9), 10)])
    return folder


def edit(data: Path, *statements: str) -> None:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def read_all(data: Path, capsys: pytest.CaptureFixture[str], *, draw: bool = False) -> dict[str, str]:
    said = {}
    for command in (
        ["status"],
        ["show", "--by", "month", "--include-rejected", *(["--png", str(data.parent / "curves.png")] if draw else [])],
        ["export", "--out", str(data.parent / "out")],
    ):
        code = main([*command, "--data", str(data)])
        out, err = capsys.readouterr()
        assert code in (0, 1), err
        said[command[0]] = out + err
    return said


@pytest.mark.parametrize("far", FAR)
def test_a_reading_with_a_date_far_away_is_passed_over_and_counted(
    data: Path, capsys: pytest.CaptureFixture[str], far: object
) -> None:
    edit(data, f"UPDATE readings SET captured_s = {far} WHERE seq IN (2, 3)", f"UPDATE events SET recorded_s = {far}")
    said = read_all(data, capsys, draw=far in (FAR[0], 1e300))
    for text in said.values():
        assert "passed over: 1 events, 2 readings dated outside the years 1970-2200" in text
    assert "2026-01-05 20:00" in said["status"]
    rows = (data.parent / "out" / "readings.csv").read_text().splitlines()
    assert len(rows) == 1 + 6
    assert len((data.parent / "out" / "animals.csv").read_text().splitlines()) == 1 + 6


def test_a_correction_that_moves_a_reading_far_away_costs_that_reading(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(
        data,
        "UPDATE readings SET clock_synced = 0, boot_id = 'boot-9' WHERE seq = 4",
        "UPDATE clock_corrections SET epoch_offset_s = 1e15",
    )
    assert "passed over: 1 readings" in read_all(data, capsys)["show"]


def test_an_estimate_without_an_interval_is_no_unsound_one(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model of too few animals gives an age alone: it is shown and exported as the others are."""
    edit(data, "UPDATE animals SET interval_low_days = NULL, interval_high_days = NULL, coverage = NULL WHERE seq = 5")
    assert not any("passed over" in text for text in read_all(data, capsys).values())
    assert len((data.parent / "out" / "animals.csv").read_text().splitlines()) == 1 + 8


@pytest.mark.parametrize("value", ["1e300", "'old'", "x'ff'", "-1e300", "9e999"])
@pytest.mark.parametrize("column", ["estimate_days", "interval_low_days", "interval_high_days", "age_days"])
def test_an_age_that_is_none_is_passed_over_and_counted(
    data: Path, capsys: pytest.CaptureFixture[str], column: str, value: str
) -> None:
    edit(data, f"UPDATE animals SET {column} = {value} WHERE seq = 5")
    said = read_all(data, capsys)
    assert all("passed over: 1 estimates" in text for text in said.values())
    assert len((data.parent / "out" / "animals.csv").read_text().splitlines()) == 1 + 7


def test_what_a_device_says_of_itself_may_be_anything(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for body in (
        "x'00'",
        "'{}'",
        "17",
        "x'5b5b'",
        "'" + "[" * 5000 + "'",
        "'{\"problems\":7}'",
        "'{\"problems\":[[1]]}'",
    ):
        edit(data, f"INSERT OR REPLACE INTO device_state VALUES ('cage-1', 'health', {body}, 1.0)")
        edit(data, f"INSERT OR REPLACE INTO device_state VALUES ('cage-1', 'availability', {body}, 1.0)")
        edit(data, "INSERT OR REPLACE INTO device_state VALUES ('cage-1', 'info', 5, 'x')")
        assert "cage-1" in read_all(data, capsys)["status"]


@pytest.mark.parametrize(
    "change", ["seq = -1e308", "seq = x'ff00'", "epoch = 1e308", "received_at = 'x'", "device = 'y'"]
)
def test_a_reading_whose_record_is_another_one_stops_nobody(
    data: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    """`status` compared a time with none, and ended for everybody."""
    edit(data, f"UPDATE records SET {change} WHERE seq = 8")
    assert "2026-01-05 20:00" in read_all(data, capsys)["status"]


def test_texts_that_are_none_and_terminal_escapes_stop_nobody(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(
        data,
        "UPDATE readings SET cage = CAST(x'ff1b5b' AS TEXT) WHERE seq = 1",
        "UPDATE animals SET subject = CAST(x'ff' AS TEXT) WHERE seq = 1",
        "INSERT INTO device_state VALUES ('cage-2', 'availability', x'1b5b324a', 1.0)",
        "UPDATE accounts SET records = 'x'",
        "INSERT INTO losses VALUES ('cage-1', 'e', 9, 4, 'record', 'r', 'x')",
        "INSERT INTO losses VALUES ('cage-1', 'e', 'a', x'00', 'record', 'r', 1e300)",
    )
    said = read_all(data, capsys, draw=True)
    assert "\x1b" not in said["status"]
    assert "passed over: 2 losses" in said["status"]


def test_a_sound_database_says_nothing_of_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all("passed over" not in text for text in read_all(data, capsys).values())


def test_status_names_a_quota_that_was_reached_and_needs_a_person(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["devices", "acknowledge", "cage-1", "--data", str(data)]) == 0  # its readings are of long ago
    assert main(["status", "--data", str(data)]) == 0
    edit(data, "INSERT INTO usage (device, what, over) VALUES ('cage-1', 'epochs', 7)")
    assert main(["status", "--data", str(data)]) == 1
    assert "quota reached: cage-1: epochs: 7 messages not accounted for" in capsys.readouterr().out
