"""What a lab asks for over the broker: a capture now, a replay; by the real processes, with a real station beside."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.system.cage import ROOT, Cage
from tests.system.desk import Desk

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def test_a_capture_that_was_asked_for_comes_as_a_reading_with_the_requests_name(tmp_path, broker) -> None:
    cage = Cage(tmp_path, broker.port, schedule={"interval_light_s": 3600.0, "interval_dark_s": 3600.0})
    with Desk(broker.port) as desk, cage.station(), cage.watch() as capture, cage.publish():
        wait_until(lambda: desk.heard(f"{ROOT}/reading"))
        desk.say(f"{ROOT}/command/capture", b'{"id":"now-1"}')
        wait_until(lambda: len(desk.results("now-1")) == 2)
        accepted, done = desk.results("now-1")
        assert (accepted["status"], done["status"]) == ("accepted", "done")
        cage.arrives()
        asked = [json.loads(payload) for payload in desk.heard(f"{ROOT}/reading")]
        asked = [reading for reading in asked if reading["trigger"] == "command"]
        assert {(each["request_id"], each["epoch"], each["seq"]) for each in asked} == {
            ("now-1", done["detail"]["epoch"], done["detail"]["seq"])
        }
        assert capture.stop() == 0


def test_a_replay_is_done_when_all_of_it_was_sent_again_even_over_a_broken_connection(tmp_path, broker) -> None:
    cage = Cage(tmp_path, broker.port)
    cage.capture(60)
    ((epoch, last),) = cage.epochs()
    with cage.publish() as publish, cage.station():
        cage.arrives()
        wait_until(lambda: cage.pictures() <= cage.stored_pictures())
        with Desk(broker.port) as desk:
            ask = {"id": "again", "epoch": epoch, "first_seq": 1, "last_seq": 10_000}
            desk.say(f"{ROOT}/command/replay", json.dumps(ask).encode())
            wait_until(lambda: desk.results("again"))
            broker.kill()
        broker.start()
        with Desk(broker.port) as after:
            done = wait_until(lambda: desk.results("again", "done") or after.results("again", "done"))
            assert done[-1]["detail"] == {"records": last, "acknowledged": last}
        with Desk(broker.port) as desk:
            wait_until(lambda: b"online" in desk.heard(f"{ROOT}/availability"))
            ask["id"] = "once-more"
            desk.say(f"{ROOT}/command/replay", json.dumps(ask).encode())
            done = wait_until(lambda: desk.results("once-more", "done"))
            assert done[-1]["detail"] == {"records": last, "acknowledged": last}
            assert set(range(1, last + 1)) <= set(desk.numbers())
            desk.say(f"{ROOT}/command/replay", json.dumps(ask | {"id": "none", "epoch": "0" * 32}).encode())
            assert wait_until(lambda: desk.results("none"))[0]["status"] == "refused"
        assert publish.stop() == 0


def test_everything_comes_over_mqtt_3_1_1_too(tmp_path, broker) -> None:
    cage = Cage(tmp_path, broker.port, mqtt={"version": "3.1.1"})
    cage.capture(5)
    with cage.publish() as publish, cage.station("--mqtt-version", "3.1.1"):
        cage.arrives()
        wait_until(lambda: cage.pictures() <= cage.stored_pictures())
        wait_until(lambda: cage.released() == cage.epochs())
        assert publish.stop() == 0


def test_a_record_that_ends_connections_waits_and_the_others_go_though_publish_restarts_each_time(tmp_path) -> None:
    with Mosquitto(tmp_path / "broker", "message_size_limit 6000") as broker:
        cage = Cage(tmp_path, broker.port, thumbnail={"jpeg_quality": 95, "max_kb": 64})
        cage.capture(1)
        cage.change(thumbnail={"jpeg_quality": 40, "max_kb": 4})
        cage.capture(3)
        poisonous = len([path for path in (cage.state / "thumbnails").iterdir() if path.stat().st_size > 6000])
        assert poisonous == 1
        with cage.station(), cage.publish() as publish:
            for _ in range(4):
                count = publish.log().count("ended the connection")
                wait_until(lambda count=count: publish.log().count("ended the connection") > count)
                publish.kill()
                publish.start()
            cage.arrives()
            wait_until(lambda: len(cage.stored_pictures()) == 3)
    assert cage.pictures() - cage.stored_pictures(), "it is kept"
    with closing(sqlite3.connect(cage.data / "station.db")) as database:
        assert database.execute("SELECT * FROM losses").fetchall() == [], "and not named lost"
