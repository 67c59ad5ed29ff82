"""The running station outlives what passes by itself: a lock at its start, a message of any size."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from station.ingest.running import read_running
from station.store.store import Store
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.station import samples
from tests.station.running import Device, StationProcess
from tests.station.samples import arrival

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def test_a_locked_database_at_the_start_is_waited_for_and_reported(tmp_path: Path, broker: Mosquitto) -> None:
    data = tmp_path / "data"
    Store.open(data).close()
    with closing(sqlite3.connect(data / "station.db")) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with StationProcess(data, broker.port) as station:
            station.wait_for("the database cannot be opened for writing now: database is locked")
            wait_until(lambda: (said := read_running(data)) is not None and "locked" in said.said)
            other.execute("ROLLBACK")
            with Device(broker.port) as device:
                wait_until(station.listens)
                device.send(arrival(samples.event(1), 1))
                wait_until(lambda: device.through() == 1)
            assert station.stop() == 0


def test_a_station_that_waits_for_its_database_ends_when_it_is_asked_to(tmp_path: Path, broker: Mosquitto) -> None:
    data = tmp_path / "data"
    Store.open(data).close()
    with closing(sqlite3.connect(data / "station.db")) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with StationProcess(data, broker.port) as station:
            station.wait_for("cannot be opened for writing now")
            assert station.stop() == 0


def test_a_message_of_40_megabytes_costs_the_station_neither_memory_nor_the_log(
    tmp_path: Path, broker: Mosquitto
) -> None:
    data = tmp_path / "data"
    with StationProcess(data, broker.port) as station, Device(broker.port) as device:
        wait_until(station.listens)
        before_kb = highest_kb(station.pid)
        device.publish("cageclock/v1/cage-1/reading", os.urandom(40 << 20))
        device.publish("cageclock/v1/cage-1/record", b"x" * (2 << 20))
        device.send(arrival(samples.event(1), 1))
        wait_until(lambda: device.through() == 1)
        assert highest_kb(station.pid) - before_kb < 20_000
        with closing(sqlite3.connect(data / "station.db")) as connection:
            assert connection.execute("SELECT stream, bytes FROM quarantine").fetchall() == [("record", 2 << 20)]


def highest_kb(pid: int) -> int:
    """Return the most memory that a process has had, kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
