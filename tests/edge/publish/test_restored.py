"""A copied card: both copies' readings reach one station, each once, and the station says that there are two."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.config import tree
from edge.contract import jsontext
from edge.contract.reading import Reading, Thumbnail
from edge.contract.record import Event
from edge.outbox import Outbox
from edge.outbox.reader import Reader
from edge.outbox.watermarks import read_released
from tests.campaigns.synthetic import plain_reading
from tests.edge.publish import lab
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.station import running, samples

pytestmark = pytest.mark.broker


def _open(folder: Path) -> Outbox:
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    return Outbox.open(state, tree.Outbox(reserve_mb=0, min_free_mb=0), device_id=lab.DEVICE, serial="s")


def _append(outbox: Outbox, names: list[str]) -> None:
    """Append a reading with a picture for each name."""
    for name in names:

        def build(epoch: str, seq: int, name: str = name) -> tuple[Reading, bytes]:
            jpeg = samples.picture(seq, epoch=epoch, device=lab.DEVICE)
            sha = hashlib.sha256(jpeg).hexdigest()
            thumbnail = Thumbnail(sha256=sha, bytes=len(jpeg), width=16, height=12)
            return plain_reading(datetime.now(UTC), name, thumbnail), jpeg

        outbox.append_reading(build)


def _query(data: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(f"file:{data / 'station.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def _names(data: Path) -> list[str]:
    return sorted(name for (name,) in _query(data, "SELECT detail FROM readings"))


def _pictured(data: Path) -> list[str]:
    query = (
        "SELECT r.detail FROM readings r JOIN thumbnails t USING (device, epoch, seq) WHERE t.sha256 = thumbnail_sha256"
    )
    return sorted(name for (name,) in _query(data, query))


def _events(folder: Path) -> list[Event]:
    reader = Reader(folder / "state" / "outbox.db")
    reader.changed()
    rows = [row for held in reader.epochs() for row in reader.rows(held.epoch, 1, held.last)]
    reader.close()
    return [jsontext.decode(row.body, Event) for row in rows if row.schema == "cageclock/event/1"]


def _released(folder: Path, epoch: str, last: int):
    found = read_released(folder / "state" / "delivery.db").get(epoch)
    return found is not None and (found.records.highest, found.thumbnails.highest) == (last, last)


@pytest.mark.parametrize(("theirs", "mine"), [(4, 7), (7, 4), (4, 4)], ids=["passed", "behind", "level"])
@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_restored_card_goes_on_under_numbers_of_its_own_and_loses_nothing(tmp_path, theirs, mine, version):
    first, copy, data = tmp_path / "a", tmp_path / "b", tmp_path / "station"
    outbox = _open(first)
    common, both = outbox.epoch, [f"both {n}" for n in range(5)]
    _append(outbox, both)
    shutil.copytree(first / "state", copy / "state")  # as a power cut leaves it; its card goes on
    others = [f"first card {n}" for n in range(theirs)]
    with Mosquitto(tmp_path / "broker") as broker, running.StationProcess(data, broker.port) as station:
        wait_until(lambda: "connected to" in station.log())
        settings = {"station": running.NAME, "version": version}
        _append(outbox, others[:2])
        outbox.close()
        outbox = _open(first)
        _append(outbox, others[2:])
        outbox.close()
        with lab.Publish(first, broker.port, **settings):
            wait_until(lambda: _pictured(data) == sorted(both + others))

        outbox = _open(copy)
        own = [f"copy {n}" for n in range(mine)]
        _append(outbox, own)
        with lab.Publish(copy, broker.port, **settings) as publish:
            wait_until(lambda: _pictured(data) == sorted(both + others + own))
            _append(outbox, ["later"])
            wait_until(lambda: _pictured(data) == sorted([*both, *others, *own, "later"]))
            wait_until(lambda: _released(copy, outbox.epoch, mine + 2))
            wait_until(lambda: "a copied card, or an older copy put back" in publish.log())
            wait_until(lambda: "COPIED" in station.log())
            wait_until(lambda: _query(data, "SELECT 1 FROM events WHERE code = 'restored_card'"))
        outbox.close()
        assert _names(data) == sorted([*both, *others, *own, "later"]), "each once"
        assert _query(data, "SELECT * FROM conflicts") == []
        assert _query(data, "SELECT * FROM quarantine") == []
        assert _query(data, "SELECT * FROM losses") == []
        assert "CONFLICT" not in station.log()
    [begun] = [event.detail for event in _events(copy)]
    assert (begun["before"], begun["last"], begun["reason"]) == (common, 5, "start")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_copy_that_writes_while_broker_and_station_come_back_hides_nothing(tmp_path, version):
    """The broker has forgotten the watermark, and the copy sends before the station has said what it has."""
    first, copy, data = tmp_path / "a", tmp_path / "b", tmp_path / "station"
    outbox = _open(first)
    _append(outbox, [f"both {n}" for n in range(3)])
    outbox.close()
    shutil.copytree(first / "state", copy / "state")
    settings = {"station": running.NAME, "version": version}
    outbox = _open(first)
    written = [f"both {n}" for n in range(3)] + [f"first card {n}" for n in range(2)]
    _append(outbox, written[3:])
    outbox.close()
    with Mosquitto(tmp_path / "broker") as broker, running.StationProcess(data, broker.port) as station:
        with lab.Publish(first, broker.port, **settings):
            wait_until(lambda: "connected to" in station.log() and _pictured(data) == written)
        station.kill()
        broker.kill()
        broker.start()
        outbox = _open(copy)
        written += [f"copy {n}" for n in range(4)]
        _append(outbox, written[5:])
        with lab.Publish(copy, broker.port, **settings) as publish:
            wait_until(lambda: "connected to" in publish.log())
            time.sleep(0.7)
            station.start()
            until_s = time.monotonic() + 3.0
            while time.monotonic() < until_s:
                written.append(f"copy {len(written)} later")
                _append(outbox, written[-1:])
                time.sleep(0.01)

            def arrived() -> bool:
                outbox.maintain()
                return _pictured(data) == sorted(written)

            wait_until(arrived)
        outbox.close()
        assert _names(data) == sorted(written), "each once"
        assert _query(data, "SELECT * FROM conflicts") == []
        assert _query(data, "SELECT * FROM losses") == []
