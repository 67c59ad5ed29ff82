"""An exception that nobody foresaw, in each process with a network: reported, waited for, and it goes on.

It is raised at a line of the product while the process's own loop runs in this one; nothing of the product is replaced.
"""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import edge.fetch.fetcher
import edge.publish.publisher
import station.fleet.process
import station.ingest.process
from edge.bundle.wish import read_fetch_state
from edge.config.load import load_config
from edge.contract import jsontext
from edge.contract.record import EVENT_SCHEMA, Event
from edge.contract.service.unexpected import MOST_IN_A_ROW, Unexpected
from edge.errors import DeviceError
from edge.fetch.fetcher import Fetcher
from edge.fetch.run import run as run_fetch
from edge.outbox.reader import Reader
from edge.publish.run import run as run_publish
from station.fleet.keep.database import open_fleet
from station.fleet.settings import load_fleet_settings
from station.ingest.settings import Settings
from station.store.store import Store
from tests.edge.capture.running import write_settings
from tests.harness.mosquitto import free_port
from tests.station.store.faults import Place, fault_at


def place(module: ModuleType, text: str) -> Place:
    """Return the first line of a module that holds a text."""
    file = str(module.__file__)
    line = next(number for number, one in enumerate(Path(file).read_text().splitlines(), 1) if text in one)
    return file, line


def quick(program: str) -> Unexpected:
    return Unexpected(program, first_s=0.001)


def unforeseen() -> KeyError:
    return KeyError("nobody thought of it")


def test_publish_waits_reports_an_event_and_asks_for_a_fresh_process_at_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before, it was a traceback and a start every two seconds."""
    config = load_config(write_settings(tmp_path, more=f"mqtt: {{host: 127.0.0.1, port: {free_port()}}}\n"))
    begin = place(edge.publish.publisher, "self._refresh()")
    with fault_at(begin, unforeseen, always=True) as raised, pytest.raises(DeviceError, match="6 times in a row"):
        run_publish(config, unexpected=quick("publish"))
    assert len(raised) == MOST_IN_A_ROW
    assert capsys.readouterr().err.count("Traceback (most recent call last)") == 1
    reader = Reader(tmp_path / "state" / "delivery.db")
    reader.changed()
    rows = [row for held in reader.epochs() for row in reader.rows(held.epoch, 1, held.last)]
    reader.close()
    found = [jsontext.decode(row.body, Event) for row in rows if row.schema == EVENT_SCHEMA]
    (event,) = [one for one in found if one.code == "watchdog"]
    assert event.text == "publish met an unexpected KeyError: 'nobody thought of it'; it goes on by itself"


def test_fetch_waits_notes_it_for_the_lab_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, cycles = load_config(write_settings(tmp_path)), []

    def once(fetcher: Fetcher) -> bool:
        cycles.append(read_fetch_state(tmp_path / "state").advice)
        return len(cycles) == 2

    with fault_at(place(edge.fetch.fetcher, "wish = read_wish(self"), unforeseen, always=False) as raised:
        assert run_fetch(config, once=once, unexpected=quick("fetch")) == 0
    assert len(raised) == 1
    assert cycles == ["fetch met an unexpected KeyError: 'nobody thought of it'"] * 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_station_makes_a_new_connection_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()
    settings = Settings(name="lab1", data=str(tmp_path / "data"), host="127.0.0.1", port=free_port())
    (tmp_path / "data").mkdir()
    with closing(Store.open(tmp_path / "data")) as store:
        process = station.ingest.process.Process(settings, store, stop, quick("station"))
        taking = place(station.ingest.process, "batch = self._link.next_batch")
        with fault_at(taking, unforeseen, always=False) as raised:
            _end_when(raised, stop)
            assert process.run() == 0
    assert len(raised) == 1
    assert "station met an unexpected KeyError: 'nobody thought of it' (trying again)" in caplog.text


def test_the_fleet_process_gives_up_its_connection_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    (tmp_path / "data").mkdir()
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump({"data": str(tmp_path / "data"), "host": "127.0.0.1", "port": free_port()}))
    settings = load_fleet_settings(path, {})
    with closing(open_fleet(tmp_path / "data")) as fleet:
        process = station.fleet.process.Process(settings, fleet, stop, quick("fleet"))
        with fault_at(place(station.fleet.process, "heard = link.take(0.5)"), unforeseen, always=False) as raised:
            _end_when(raised, stop)
            assert process.run() == 0
    assert len(raised) == 1
    assert "fleet met an unexpected KeyError: 'nobody thought of it' (trying again)" in caplog.text


def _end_when(raised: list[int], stop: threading.Event) -> None:
    """Ask for the end once the fault came."""

    def watch() -> None:
        while not raised:
            stop.wait(0.01)
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
