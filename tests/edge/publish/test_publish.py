"""`cageclock publish` against a real mosquitto: what arrives, what is released, what is said when it is not."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from edge.contract import identity, jsontext
from edge.contract.record import Event
from edge.contract.status import Health, Info
from edge.contract.summary import Summary
from edge.outbox.capture_requests import Requests
from edge.outbox.publish_file import PublishFile
from edge.outbox.watermarks import Released, read_released
from tests.edge.outbox.conftest import make_reading
from tests.edge.publish import lab
from tests.harness.mosquitto import Mosquitto, free_port, hash_password
from tests.harness.waiting import wait_until

Publish, Logger, ROOT = lab.Publish, lab.Logger, lab.ROOT

pytestmark = pytest.mark.broker


def test_commands_are_queued_answered_and_refused_when_retained(tmp_path, broker, outbox, logger):
    epoch, _ = outbox.append_reading(make_reading(None)).key
    with Publish(tmp_path, broker.port) as publish:
        wait_until(lambda: logger.seqs())
        logger.say("command/capture", b'{"id":"now-1"}')
        requests = Requests(publish.state_dir)
        wait_until(requests.waiting)
        assert requests.pop_oldest() == "now-1"
        before = len(logger.seqs())
        logger.say("command/replay", json.dumps({"id": "r", "epoch": epoch, "first_seq": 1, "last_seq": 9}).encode())
        wait_until(lambda: len(logger.seqs()) > before)
        assert identity.split(logger.of("reading")[-1])[0].replayed
        logger.say("command/capture", b'{"id":"x","shell":"rm"}')
        wait_until(lambda: len(logger.of("result")) >= 4)
        assert publish.stop() == 0
        logger.say("command/capture", b'{"id":"old"}', retain=True)
        publish.start()
        results = wait_until(lambda: len(found := [json.loads(one) for one in logger.of("result")]) >= 5 and found)
    assert [(one["id"], one["status"]) for one in results if one["id"] != "r"] == [
        ("now-1", "accepted"),
        ("x", "refused"),
        ("old", "refused"),
    ]
    assert [(one["status"], one["detail"]) for one in results if one["id"] == "r"] == [
        ("accepted", {"records": 1}),
        ("done", {"records": 1, "acknowledged": 1}),
    ]
    assert "not retained" in results[-1]["text"]


def test_info_health_and_summary_are_retained_and_follow_the_contract(tmp_path, broker, outbox, logger):
    outbox.append_reading(make_reading(None))
    with Publish(tmp_path, broker.port, home_assistant=True, health_interval_s=1.0):
        wait_until(lambda: logger.of("summary/c7") and logger.of("info") and logger.of("health"))
        late = Logger(broker.port, commits=False, online=False)
        wait_until(lambda: late.of("info") and late.of("health") and late.of("summary/c7"))
        info = jsontext.decode(late.of("info")[0], Info)
        assert {of.publisher for of in info.epochs} == {"capture"}, "publish begins its own with its first event"
        assert jsontext.decode(late.of("health")[0], Health).outbox_records == 1
        summary = jsontext.decode(late.of("summary/c7")[0], Summary)
        assert [(window.kind, window.captures, window.readings) for window in summary.windows] == [
            ("day", 1, 0),
            ("week", 1, 0),
        ]
        late.close()


def test_an_absent_broker_is_said_once_and_found_when_it_comes(tmp_path, outbox):
    port = free_port()
    outbox.append_reading(make_reading(None))
    with Publish(tmp_path, port) as publish:
        wait_until(lambda: "no broker at" in publish.log())
        time.sleep(3)
        assert publish.log().count("no broker at") == 1
        assert "Look at mqtt.host" in publish.log()
        with Mosquitto(tmp_path / "broker", port=port):
            logger = Logger(port)
            wait_until(lambda: logger.seqs() == [1])
            logger.close()


def test_a_wrong_password_is_said_once_never_shown_and_costs_nothing(tmp_path, outbox):
    line = hash_password(tmp_path / "hash", lab.DEVICE, "right")
    settings = "allow_anonymous false\npassword_file {folder}/users\n"
    secret = tmp_path / "secret"
    secret.write_text("very-wrong-secret\n")
    with Mosquitto(tmp_path / "broker", settings, files={"users": line}) as guarded:
        outbox.append_reading(make_reading(None))
        with Publish(tmp_path, guarded.port, username=lab.DEVICE, password_file=str(secret)) as publish:
            wait_until(lambda: "refused the login" in publish.log())
            time.sleep(3)
            assert publish.log().count("refused the login") == 1
            assert "mqtt.password_file" in publish.log()
            assert "very-wrong-secret" not in publish.log()
            assert publish.exit_code() is None


def test_a_denied_topic_is_said_and_nothing_is_lost(tmp_path, outbox):
    acl = f"topic read cageclock/#\ntopic write {ROOT}/availability\ntopic write cageclock/v1/station/#\n"
    with Mosquitto(tmp_path / "broker", "acl_file {folder}/acl", files={"acl": acl.encode()}) as denying:
        logger = Logger(denying.port)
        outbox.append_reading(make_reading(None))
        with Publish(tmp_path, denying.port) as publish:
            wait_until(lambda: "denies this device" in publish.log())
            time.sleep(1)
            assert publish.log().count("denies this device") == 1
            assert logger.seqs() == []
            assert outbox.epoch not in read_released(publish.state_dir / "delivery.db")
        logger.close()


def test_events_of_a_damaged_delivery_file_still_arrive_and_old_ones_go(tmp_path, broker, outbox, logger):
    state = tmp_path / "state"
    delivery = PublishFile.open(state, device_id=lab.DEVICE)
    for number in range(6):
        delivery.event("watchdog", f"event {number}")
    delivery.close()
    path = state / "delivery.db"
    data = bytearray(path.read_bytes())
    data[100:200] = bytes(100)
    path.write_bytes(data)

    def events() -> list[Event]:
        bodies = [identity.split(payload)[1] for payload in logger.of("record")]
        return [jsontext.decode(body, Event) for body in bodies if b"cageclock/event/1" in body]

    with Publish(tmp_path, broker.port):
        wait_until(lambda: len(events()) == 8)
        assert [event.text for event in events()[:6]] == [f"event {number}" for number in range(6)]
        assert [event.code for event in events()[6:]] == ["epoch_begun", "database_set_aside"]
        assert events()[7].detail["saved"] == 6
        heads = [identity.split(payload)[0] for payload in logger.of("record")]
        assert [head.seq for head in heads] == [1, 2, 3, 4, 5, 6, 1, 2]
        wait_until(lambda: read_released(path).get(heads[0].epoch, Released()).records.highest == 6)
        assert list(state.glob("delivery.db.damaged-*"))
    # By another day's settings they are older than the ring: publish drops them by itself.
    shorter = yaml.safe_load((tmp_path / "device.yaml").read_text()) | {"outbox": {"keep_days": 1e-6}}
    again = Publish(tmp_path, broker.port)
    again.config.write_text(yaml.safe_dump(shorter))
    with again:
        wait_until(lambda: _own_records(path) == 1)


def _own_records(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM records").fetchone()[0])


def test_publish_loads_neither_numpy_nor_the_image_library_and_stays_small(tmp_path, broker, outbox, logger):
    for _ in range(50):
        outbox.append_reading(make_reading())
    with Publish(tmp_path, broker.port) as publish:
        wait_until(lambda: len(set(logger.seqs())) == 50)
        maps = Path(f"/proc/{publish.pid}/maps").read_text().lower()
        assert "numpy" not in maps
        assert "/pil/" not in maps
        status = Path(f"/proc/{publish.pid}/status").read_text()
        resident_kb = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
        assert resident_kb < 40_000
