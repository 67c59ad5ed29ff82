"""Who a device is and how it is: TLS, last will, a second client, Home Assistant, systemd, a broker that misbehaves."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.config import tree
from edge.contract import identity, jsontext
from edge.contract.record import Event
from edge.outbox import Outbox
from tests.edge.outbox.conftest import make_reading
from tests.edge.publish import lab
from tests.harness.certificates import Authority
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import LIMIT_S, wait_until

Publish, Logger, ROOT = lab.Publish, lab.Logger, lab.ROOT

pytestmark = pytest.mark.broker
HOST = "127.0.0.1"


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def logger(broker):
    running = Logger(broker.port)
    yield running
    running.close()


def _outbox(folder: Path, count: int) -> Outbox:
    """Leave so many readings in a device's outbox, under an epoch of their own; return it, closed."""
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    outbox = Outbox.open(state, tree.Outbox(reserve_mb=0, min_free_mb=0), device_id=lab.DEVICE, serial="s")
    for _ in range(count):
        outbox.append_reading(make_reading())
    outbox.close()
    return outbox


def _events(logger, code: str) -> list[Event]:
    bodies = [identity.split(payload)[1] for payload in logger.of("record")]
    found = [jsontext.decode(body, Event) for body in bodies if b"cageclock/event/1" in body]
    return [event for event in found if event.code == code]


def test_a_killed_publish_is_offline_by_its_last_will_and_online_when_it_is_back(broker, logger, tmp_path):
    with Publish(tmp_path, broker.port) as publish:
        wait_until(lambda: logger.of("availability") == [b"online"])
        publish.kill()
        wait_until(lambda: logger.of("availability") == [b"online", b"offline"])
        publish.start()
        wait_until(lambda: logger.of("availability")[-1] == b"online")
        assert publish.stop() == 0
    wait_until(lambda: logger.of("availability")[-1] == b"offline")


def test_mqtt_3_1_1_carries_everything_too(broker, logger, tmp_path):
    _outbox(tmp_path, 3)
    with Publish(tmp_path, broker.port, version="3.1.1"):
        wait_until(lambda: _different(logger) == 3)
        wait_until(lambda: len(logger.of("thumbnail")) >= 3)


@pytest.mark.slow
def test_a_frozen_broker_is_survived_and_everything_arrives_after_it(broker, logger, tmp_path):
    _outbox(tmp_path, 2)
    with Publish(tmp_path, broker.port, keepalive_s=5) as publish:
        wait_until(lambda: set(logger.seqs()) == {1, 2})
        broker.freeze()
        _outbox(tmp_path, 3)
        time.sleep(9)
        assert publish.exit_code() is None
        broker.thaw()
        wait_until(lambda: _different(logger) == 5)


def _different(logger) -> int:
    """Return how many readings came, of whatever start of capture, each counted once."""
    return len({identity.split(payload)[1] for payload in logger.of("reading")})


@pytest.mark.slow
def test_a_second_device_of_one_name_is_named(broker, logger, tmp_path):
    for folder in ("one", "two"):
        _outbox(tmp_path / folder, 1)
    with Publish(tmp_path / "one", broker.port), Publish(tmp_path / "two", broker.port):
        found = wait_until(lambda: _events(logger, "duplicate_client"))
        assert "device_id" in found[0].text


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema":"cageclock/committed/1","station_db":"x","epochs":[{"epoch":"%s","through":5,"holes":[[5,3]]}]}'
        % (b"a" * 32),
        b'{"schema":"cageclock/committed/1","station_db":"x","epochs":[{"epoch":"%s","through":5,"holes":[[-9,99]]}]}'
        % (b"a" * 32),
        b'{"schema":"cageclock/committed/1","station_db":"x","epochs":[{"epoch":"%s","through":1%s}]}'
        % (b"a" * 32, b"0" * 30),
        b'{"schema":"cageclock/committed/1","station_db":"x","epochs":NaN}',
    ],
    ids=["empty", "not text", "deep", "hole backwards", "hole beyond", "huge", "nan"],
)
def test_a_watermark_that_makes_no_sense_harms_nothing(broker, logger, tmp_path, payload):
    logger.commits = False
    logger.say(f"committed/{lab.STATION}", payload, retain=True)
    _outbox(tmp_path, 2)
    with Publish(tmp_path, broker.port) as publish:
        wait_until(lambda: set(logger.seqs()) == {1, 2})
        logger.say("command/capture", payload)
        logger.say("command/replay", payload)
        logger.say("command/\u00fc", payload)
        _outbox(tmp_path, 1)
        wait_until(lambda: _different(logger) == 3)
        logger.commits = True
        logger.commit()
        assert publish.stop() == 0
    assert "Traceback" not in publish.log()
    assert publish.log().count("connected to") == 1


def test_home_assistant_is_told_again_when_it_starts(broker, tmp_path):
    with Publish(tmp_path, broker.port, home_assistant=True):
        found: list[bytes] = []
        home = paho.Client(CallbackAPIVersion.VERSION2)
        home.on_message = lambda _client, _data, message: found.append(bytes(message.payload))
        home.connect(HOST, broker.port)
        home.loop_start()
        home.subscribe(f"homeassistant/device/cageclock_{lab.DEVICE}/config", qos=1)
        try:
            wait_until(lambda: len(found) >= 1)
            before = len(found)
            home.publish("homeassistant/status", b"online", 1)
            wait_until(lambda: len(found) > before)
        finally:
            home.disconnect()
            home.loop_stop()
    described = json.loads(found[-1])
    ids = [part["unique_id"] for part in described["cmps"].values()]
    assert len(ids) == len(set(ids)) >= 5
    topics = [value for part in described["cmps"].values() for key, value in part.items() if key.endswith("_topic")]
    assert topics
    assert all(topic.startswith(f"{ROOT}/") for topic in topics)


@pytest.mark.slow
def test_systemd_hears_that_it_is_ready_and_that_it_lives(broker, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0cageclock-test-{broker.port}")
        systemd.settimeout(LIMIT_S)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@cageclock-test-{broker.port}")
        with Publish(tmp_path, broker.port) as publish:
            heard = [systemd.recv(4096).decode() for _ in range(3)]
            publish.send(signal.SIGSTOP)
            while _heard_within(systemd, 0.5):
                pass
            assert not _heard_within(systemd, 6), "a stopped process feeds no watchdog"
            publish.send(signal.SIGCONT)
            assert _heard_within(systemd, LIMIT_S) == "WATCHDOG=1"
            assert publish.stop() == 0
            last = "WATCHDOG=1"
            while last == "WATCHDOG=1":  # of the time before it was asked to stop
                last = _heard_within(systemd, LIMIT_S)
            assert last == "STOPPING=1"
    assert "READY=1" in heard
    assert "WATCHDOG=1" in heard


def _heard_within(systemd: socket.socket, seconds: float) -> str:
    systemd.settimeout(seconds)
    try:
        return systemd.recv(4096).decode()
    except TimeoutError:
        return ""


TLS = """
cafile {certificates}/ca.pem
certfile {certificates}/broker.pem
keyfile {certificates}/broker.key
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl
"""
RULES = b"""
pattern write cageclock/v1/%u/#
pattern read cageclock/v1/%u/command/+
pattern read cageclock/v1/%u/committed/+
pattern read cageclock/v1/station/+/availability
user lab
topic readwrite cageclock/v1/#
"""


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path / "certificates")
    made.issue("broker", HOST)
    return made


@pytest.fixture
def tls_broker(tmp_path, authority):
    settings = TLS.replace("{certificates}", str(authority.folder))
    with Mosquitto(tmp_path / "broker", settings, files={"acl": RULES}) as running:
        yield running


def _watch(port: int, authority, topic: str, found: list[tuple[str, bytes]]) -> paho.Client:
    certificate, key = authority.issue("lab")
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.tls_set(str(authority.ca), certificate, key)
    client.on_message = lambda _client, _data, message: found.append((message.topic, bytes(message.payload)))
    client.connect(HOST, port)
    client.loop_start()
    client.subscribe(topic, qos=1)
    return client


def test_a_client_certificate_is_the_login_and_the_access_list_follows_its_name(tls_broker, authority, tmp_path):
    certificate, key = authority.issue(lab.DEVICE)
    _outbox(tmp_path, 2)
    found: list[tuple[str, bytes]] = []
    watcher = _watch(tls_broker.port, authority, f"{ROOT}/#", found)
    tls = {"ca": str(authority.ca), "certificate": certificate, "key": key}
    with Publish(tmp_path, tls_broker.port, tls=tls):
        wait_until(lambda: len([1 for topic, _ in found if topic == f"{ROOT}/reading"]) >= 2)
        assert (f"{ROOT}/availability", b"online") in found
    watcher.disconnect()
    watcher.loop_stop()


def test_another_devices_certificate_cannot_speak_for_this_one(tls_broker, authority, tmp_path):
    certificate, key = authority.issue("cage08")
    _outbox(tmp_path, 1)
    found: list[tuple[str, bytes]] = []
    watcher = _watch(tls_broker.port, authority, f"{ROOT}/#", found)
    tls = {"ca": str(authority.ca), "certificate": certificate, "key": key}
    with Publish(tmp_path, tls_broker.port, tls=tls) as publish:
        wait_until(lambda: "denies" in publish.log())
        assert f"{ROOT}/" in publish.log()
    assert found == []
    watcher.disconnect()
    watcher.loop_stop()


def test_a_broker_of_another_authority_is_not_trusted_and_that_is_said_once(tls_broker, authority, tmp_path):
    other = Authority(tmp_path / "other")
    certificate, key = authority.issue(lab.DEVICE)
    tls = {"ca": str(other.ca), "certificate": certificate, "key": key}
    with Publish(tmp_path, tls_broker.port, tls=tls) as publish:
        wait_until(lambda: "TLS" in publish.log())
        time.sleep(3)
        assert publish.log().count("TLS") == 1
        assert "mqtt.tls" in publish.log()
        assert publish.stop() == 0


def test_a_missing_certificate_file_ends_with_2_and_its_name(tmp_path):
    with Publish(tmp_path, 1, tls={"ca": str(tmp_path / "nowhere.pem")}) as publish:
        assert publish.ended() == 2
    assert "mqtt.tls" in publish.log()
    assert "Traceback" not in publish.log()


def test_a_damaged_delivery_file_is_set_aside_and_nothing_is_lost(broker, logger, tmp_path):
    _outbox(tmp_path, 3)
    (tmp_path / "state" / "delivery.db").write_bytes(b"this is no database" * 1000)
    with Publish(tmp_path, broker.port):
        wait_until(lambda: _different(logger) == 3)
        wait_until(lambda: _events(logger, "database_set_aside"))
    assert list((tmp_path / "state").glob("delivery.db.damaged-*"))


def test_a_second_publish_of_one_state_folder_is_refused(broker, logger, tmp_path):
    with Publish(tmp_path, broker.port):
        wait_until(lambda: logger.of("availability") == [b"online"])
        second = Publish(tmp_path, broker.port)
        second.start()
        assert second.ended() == 2
        assert logger.of("availability") == [b"online"]


def test_a_card_that_was_put_back_is_reported_once_and_sends_what_it_writes_from_then_on(broker, logger, tmp_path):
    """The station has more of an epoch than this card ever wrote: what it has is released, the next start is new."""
    logger.commits = False
    outbox = _outbox(tmp_path, 2)
    before = outbox.epoch
    claim = b'{"schema":"cageclock/committed/1","station_db":"x","epochs":[{"epoch":"%s","through":9}]}'
    logger.say(f"committed/{lab.STATION}", claim % before.encode(), retain=True)
    with Publish(tmp_path, broker.port) as publish:
        wait_until(lambda: _events(logger, "restored_card"))
        after = _outbox(tmp_path, 3)
        assert after.epoch != before
        wait_until(lambda: _readings_of(logger, after.epoch) == {2, 3, 4})  # 1 names the epoch before
        assert not publish.log().count("sending again")
        assert publish.log().count("an older copy put back") == 1
    (event,) = {jsontext.encode(one): one for one in _events(logger, "restored_card")}.values()
    assert (event.detail["epoch"], event.detail["last"], event.detail["station"]) == (before, 2, 9)


def _readings_of(logger, epoch: str) -> set[int]:
    heads = [identity.split(payload)[0] for payload in logger.of("reading")]
    return {head.seq for head in heads if head.epoch == epoch}
