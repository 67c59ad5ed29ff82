"""A subscription that the broker refuses is said in one line, with the topic, the broker's word and what to do.

mosquitto's access file grants every subscription and then delivers nothing; its dynamic access list (a plugin that
comes with it) answers with reason 135, on MQTT 3.1.1 with 128.
"""

from __future__ import annotations

import json
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.config.load import load_config
from edge.contract import jsontext
from edge.contract.status import Health
from edge.doctor.broker import check_broker
from tests.edge.publish import lab
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.station import running

pytestmark = pytest.mark.broker
PLUGIN = Path("/usr/lib")
ROOT = lab.ROOT


def _denying(folder: Path, *topics: str) -> Mosquitto:
    """Return a broker whose access list denies these subscriptions to everybody and grants the rest."""
    plugin = next(PLUGIN.rglob("mosquitto_dynamic_security.so"), None)
    if plugin is None:
        pytest.skip("mosquitto's plugin for dynamic access lists is not installed")
    rules = [{"acltype": "subscribeLiteral", "topic": topic, "allow": False, "priority": 1} for topic in topics]
    everything = ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe")
    access = {
        "defaultACLAccess": dict.fromkeys(everything, True),
        "roles": [{"rolename": "all", "acls": rules}],
        "groups": [{"groupname": "all", "roles": [{"rolename": "all"}]}],
        "anonymousGroup": "all",
    }
    settings = f"allow_anonymous true\nplugin {plugin}\nplugin_opt_config_file {{folder}}/access.json"
    return Mosquitto(folder, settings, files={"access.json": json.dumps(access).encode()})


def _answers(port: int, protocol: MQTTProtocolVersion, *topics: str) -> list[int]:
    found: list[int] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
    client.on_subscribe = lambda _c, _d, _m, codes, _p: found.extend(code.value for code in codes)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe([(topic, 1) for topic in topics])
    wait_until(lambda: found)
    client.disconnect()
    client.loop_stop()
    return found


@pytest.mark.parametrize(("version", "reason"), [("5", 135), ("3.1.1", 128)])
def test_a_denied_watermark_is_said_once_and_stands_in_health(tmp_path, version, reason):
    topic = f"{ROOT}/committed/{lab.STATION}"
    with _denying(tmp_path / "broker", topic) as broker:
        logger = lab.Logger(broker.port)
        with lab.Publish(tmp_path, broker.port, version=version, health_interval_s=5.0) as publish:
            wait_until(lambda: "denies" in publish.log())
            wait_until(lambda: logger.of("health"))
            wait_until(lambda: "subscription_denied" in jsontext.decode(logger.of("health")[-1], Health).problems)
            health = jsontext.decode(logger.of("health")[-1], Health)
            doctor = check_broker(load_config(publish.config))
            lines = [line for line in publish.log().splitlines() if "denies" in line]
        logger.close()
    assert len(lines) == 1
    advice = health.advice[health.problems.index("subscription_denied")]
    for text in (lines[0], advice):
        assert f"denies {lab.DEVICE} the subscription to {topic} (" in text
        assert f"reason {reason}" in text
        assert "read access" in text
        assert "access list" in text
    assert "command" not in lines[0], "what is granted is not named"
    assert not doctor.ok
    assert f"denies {lab.DEVICE} the subscription to {topic} (" in doctor.text


def test_a_station_that_may_not_listen_says_so_in_one_line_and_takes_what_it_may(tmp_path):
    denied = ("cageclock/v1/+/reading", "cageclock/v1/+/thumbnail")
    with (
        _denying(tmp_path / "broker", *denied) as broker,
        running.StationProcess(tmp_path / "data", broker.port) as lab1,
    ):
        wait_until(lambda: "denies" in lab1.log())
        lines = [line for line in lab1.log().splitlines() if "denies" in line]
        with running.Device(broker.port) as device:
            wait_until(lambda: device.availability)
            assert device.availability == ["offline"], "a device that heard `online` would send and wait"
    assert len(lines) == 1
    assert all(f"{topic} (Not authorized, reason 135)" in lines[0] for topic in denied)
    assert "cageclock/v1/+/record" not in lines[0]
    assert "read access" in lines[0]


def test_a_station_that_misses_only_pictures_logs_and_is_online(tmp_path):
    with (
        _denying(tmp_path / "broker", "cageclock/v1/+/thumbnail") as broker,
        running.StationProcess(tmp_path / "data", broker.port) as lab1,
        running.Device(broker.port) as device,
    ):
        wait_until(lambda: "denies" in lab1.log())
        wait_until(lambda: device.availability and device.availability[-1] == "online")


def test_mosquittos_access_file_itself_refuses_no_subscription(tmp_path):
    """Why the advice on a backlog names the access list: with a file there is no answer to go by."""
    rules = {"acl": b"topic write cageclock/#\n"}
    with Mosquitto(tmp_path / "broker", "acl_file {folder}/acl", files=rules) as broker:
        assert _answers(broker.port, MQTTProtocolVersion.MQTTv5, f"{ROOT}/command/+") == [1]
    with _denying(tmp_path / "other", f"{ROOT}/command/+") as broker:
        assert _answers(broker.port, MQTTProtocolVersion.MQTTv5, f"{ROOT}/command/+", "a") == [135, 1]
