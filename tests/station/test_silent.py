"""`status` says which device needs a person and why, and what a person has decided; its exit code says so too."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.contract import jsontext
from edge.contract.reading import Outcome
from edge.contract.schema_files import EXAMPLES, FOLDER
from edge.contract.status import Health
from station.cli import main
from station.status import load_status
from station.store.message import Arrival
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.station import samples
from tests.station.running import StationProcess
from tests.station.samples import arrival

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _time_of_the_test() -> None:
    """Take the time anew: a test may run long after the file was imported."""
    global NOW
    NOW = datetime.now(UTC)


HEALTH = jsontext.decode((FOLDER / EXAMPLES / "health.v1.json").read_bytes(), Health)


def health(**changes: Any) -> bytes:
    """Return a health message."""
    return jsontext.encode(replace_struct(HEALTH, problems=(), advice=(), **changes))


def replace_struct(value: Any, **changes: Any) -> Any:
    """Return a struct with other values."""
    import msgspec

    return msgspec.structs.replace(value, **changes)


def store(data: Path, *, ago: timedelta, device: str = "cage-1", says: bytes = b"online", body: bytes = b"") -> None:
    """Store a reading of so long ago and what the device says of itself."""
    at = datetime.now(UTC) - ago
    one = samples.reading(1, device=device, at=at, outcome=Outcome.NO_MOUSE, accepted=False, animals=())
    state = Arrival(device, "availability", says, at.timestamp())
    messages = [replace(arrival(one, 1, device=device), received_at=at.timestamp()), state]
    if body:
        messages.append(Arrival(device, "health", body, at.timestamp()))
    with closing(Store.open(data)) as opened:
        opened.take(messages)


def status(data: Path, capsys: pytest.CaptureFixture[str], code: int) -> str:
    """Return what `status` prints; its exit code is as expected."""
    got = main(["status", "--data", str(data)])
    said = capsys.readouterr().out
    assert got == code, said
    return said


def test_a_device_that_sends_is_well_and_its_last_capture_is_said_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(tmp_path, ago=timedelta(minutes=5))
    said = status(tmp_path, capsys, 0)
    assert "cage-1: last capture: no animal was found" in said
    assert "+00:00 (5 min)" in said
    main(["subjects", "zone", "+02:00", "--data", str(tmp_path)])
    local = (datetime.now(UTC) - timedelta(minutes=5)).astimezone(UTC) + timedelta(hours=2)
    assert f"{local:%Y-%m-%d %H:%M}+02:00" in status(tmp_path, capsys, 0)


@pytest.mark.parametrize(
    ("interval_s", "ago", "code"),
    [
        (3600.0, timedelta(hours=2.9), 0),
        (3600.0, timedelta(hours=3.1), 1),
        (86400.0, timedelta(days=2), 0),
        (60.0, timedelta(minutes=9), 0),
        (60.0, timedelta(minutes=11), 1),
        (None, timedelta(days=4), 1),
    ],
)
def test_a_device_is_silent_by_its_own_schedule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interval_s: float | None, ago: timedelta, code: int
) -> None:
    store(tmp_path, ago=ago, body=health(longest_interval_s=interval_s))
    said = status(tmp_path, capsys, code)
    assert ("! silent" in said) == bool(code)


def test_one_reading_of_the_future_does_not_make_a_device_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was the newest one for ever, at the time when it came."""
    came = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    one = samples.reading(2, at=datetime.now(UTC) + timedelta(days=900), outcome=Outcome.NO_MOUSE, animals=())
    with closing(Store.open(tmp_path)) as opened:
        opened.take([replace(arrival(one, 2), received_at=came)])
    store(tmp_path, ago=timedelta(minutes=5))
    said = status(tmp_path, capsys, 1)
    assert "! clock_ahead: 1 readings" in said
    assert "! silent" not in said
    assert "(5 min)" in said


def test_a_device_of_an_earlier_version_is_silent_by_the_gaps_that_it_had(tmp_path: Path) -> None:
    begin = NOW - timedelta(days=3)
    messages = []
    for seq in range(1, 25):  # eight captures an hour apart by day, then one every quarter of an hour
        at = begin + (timedelta(hours=seq) if seq <= 8 else timedelta(hours=8) + timedelta(minutes=15 * (seq - 8)))
        messages.append(arrival(samples.reading(seq, at=at), seq))
    with closing(Store.open(tmp_path)) as opened:
        opened.take(messages)
    newest = begin + timedelta(hours=12)

    def problems(after: timedelta) -> set[str]:
        with closing(open_for_reading(tmp_path)) as connection:
            return set(load_status(connection, newest + after)[0].problems)

    assert problems(timedelta(hours=2, minutes=55)) == set()
    assert problems(timedelta(hours=3, minutes=5)) == {"silent"}


def test_offline_never_sent_and_the_devices_own_words_need_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(tmp_path, ago=timedelta(minutes=1), says=b"offline")
    said = status(tmp_path, capsys, 1)
    assert "! offline: it is not connected" in said
    ghost = tmp_path / "ghost"
    with closing(Store.open(ghost)) as opened:
        opened.take([Arrival("old-name", "availability", b"online", NOW.timestamp())])
    assert "! never_sent" in status(ghost, capsys, 1)
    dark = tmp_path / "dark"
    body = jsontext.encode(
        replace_struct(HEALTH, problems=("captures_dark",), advice=("12 of 12 were dark: is the lamp on?",))
    )
    store(dark, ago=timedelta(minutes=1), body=body)
    assert "! captures_dark: 12 of 12 were dark: is the lamp on?" in status(dark, capsys, 1)


def test_what_was_acknowledged_is_known_until_there_is_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path, ago=timedelta(days=4))
    with closing(Store.open(tmp_path)) as opened:
        opened.take([arrival(samples.lost(70, 71), 62)])
    status(tmp_path, capsys, 1)
    assert main(["devices", "acknowledge", "cage-1", "--data", str(tmp_path), "--reason", "in repair"]) == 0
    assert "silent (acknowledged)" in status(tmp_path, capsys, 0)
    with closing(Store.open(tmp_path)) as opened:
        opened.take([arrival(samples.lost(80, 80), 63)])
    assert "! lost: 3 records" in status(tmp_path, capsys, 1)
    main(["devices", "acknowledge", "cage-1", "--data", str(tmp_path)])
    status(tmp_path, capsys, 0)
    main(["devices", "reinstate", "cage-1", "--data", str(tmp_path)])
    status(tmp_path, capsys, 1)


def test_a_silence_after_it_had_sent_again_is_another_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path, ago=timedelta(days=4))
    main(["devices", "acknowledge", "cage-1", "--data", str(tmp_path)])
    status(tmp_path, capsys, 0)
    later = NOW + timedelta(minutes=5)
    with closing(Store.open(tmp_path)) as opened:
        opened.take([replace(arrival(samples.reading(2, at=later), 2), received_at=later.timestamp())])
    with closing(open_for_reading(tmp_path)) as connection:
        assert not load_status(connection, later)[0].needs_a_person
        assert load_status(connection, later + timedelta(days=1))[0].needs_a_person


def test_a_retired_device_is_quiet_until_it_sends_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path, ago=timedelta(days=400), says=b"offline")
    assert main(["devices", "retire", "cage-1", "--data", str(tmp_path)]) == 0
    assert "homeassistant/device/cageclock_cage-1/config" in capsys.readouterr().out
    said = status(tmp_path, capsys, 0)
    assert "retired: cage-1" in said
    assert "offline" not in said
    later = datetime.now(UTC) + timedelta(minutes=1)
    with closing(Store.open(tmp_path)) as opened:
        opened.take([replace(arrival(samples.reading(2, at=later), 2), received_at=later.timestamp())])
    assert "retired_but_sending" in status(tmp_path, capsys, 1)
    assert main(["devices", "retire", "cage-9", "--data", str(tmp_path)]) == 2
    assert "no device 'cage-9' is known; there are cage-1" in capsys.readouterr().err


def test_a_clock_that_runs_ahead_hides_no_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path, ago=timedelta(days=4))
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection, connection:
        connection.execute("UPDATE readings SET captured_s = captured_s + 86400 * 365")
    assert "! silent" in status(tmp_path, capsys, 1)


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(tmp_path, ago=timedelta(days=4))
    (tmp_path / "animals.csv").write_text("subject,date_of_birth\nM7,2026-01-01\n")
    main(["subjects", "import", str(tmp_path / "animals.csv"), "--data", str(tmp_path)])
    capsys.readouterr()
    assert main(["status", "--json", "--data", str(tmp_path)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["station"]) == (False, None)
    (device,) = said["devices"]
    assert (device["device"], device["last_outcome"], device["needs_a_person"]) == ("cage-1", "no_mouse", True)
    assert [one["code"] for one in device["problems"]] == ["silent"]
    assert datetime.fromisoformat(device["last_reading_at"]).utcoffset() == timedelta(0)
    assert main(["subjects", "list", "--json", "--data", str(tmp_path)]) == 0
    (animal,) = json.loads(capsys.readouterr().out)
    assert (animal["subject"], animal["date_of_birth"]) == ("M7", "2026-01-01")
    assert main(["show", "--json", "--data", str(tmp_path)]) == 0
    (curve,) = json.loads(capsys.readouterr().out)["curves"]
    assert (curve["cage"], curve["accepted_readings"]) == ("cage-1", 0)
    assert "1 no_mouse" in curve["why_no_age"]


def test_whether_a_station_runs_is_said_with_its_connection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"

    def noted(words: bytes) -> bool:
        path = data / "station.json"
        return path.exists() and words in path.read_bytes()

    with Mosquitto(tmp_path / "broker") as broker, StationProcess(data, broker.port) as station:
        wait_until(lambda: noted(b'"connected": true'))
        assert "station lab1: runs, connected to 127.0.0.1:" in status(data, capsys, 0)
        broker.kill()
        wait_until(lambda: noted(b'"connected": false') and noted(b"nobody listens"))
        assert "is not connected to 127.0.0.1" in status(data, capsys, 1)
        assert station.stop() == 0
    assert "station lab1: does not run, nothing is logged; it was ended" in status(data, capsys, 1)
