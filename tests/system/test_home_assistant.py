"""Home Assistant learns of the device when the settings ask for it, in words it knows, and again when it starts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.contract import jsontext
from edge.contract.command import CaptureRequest
from edge.contract.reading import Reading
from edge.contract.reported import Reported
from edge.contract.status import Health
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.system.cage import DEVICE, ROOT, Cage
from tests.system.desk import Desk

pytestmark = pytest.mark.broker
CONFIG = f"homeassistant/device/cageclock_{DEVICE}/config"

# Keys of Home Assistant's MQTT platforms, from the schemas of its MQTT integration (2024.11 and later).
COMMON = {"p", "unique_id", "name", "entity_category", "device_class", "json_attributes_topic", "icon"}
COMMON |= {"json_attributes_template"}
KNOWN = {
    "sensor": {"state_topic", "value_template", "unit_of_measurement", "state_class", "expire_after"},
    "binary_sensor": {"state_topic", "value_template", "payload_on", "payload_off", "expire_after"},
    "image": {"image_topic", "content_type"},
    "update": {"state_topic", "value_template", "title"},
    "button": {"command_topic", "command_template", "payload_press"},
}
SHARED = {"dev", "o", "cmps", "availability_topic", "qos"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def test_the_device_is_described_retained_and_again_when_home_assistant_starts(tmp_path, broker) -> None:
    cage = Cage(tmp_path, broker.port, mqtt={"home_assistant": True})
    with Desk(broker.port, "homeassistant/#") as early, cage.publish():
        wait_until(lambda: early.heard(CONFIG))
        with Desk(broker.port, "homeassistant/#") as late:
            wait_until(lambda: late.heard(CONFIG))
        before = len(early.heard(CONFIG))
        early.say("homeassistant/status", b"online")
        wait_until(lambda: len(early.heard(CONFIG)) > before)
        described = json.loads(early.heard(CONFIG)[-1])
    assert set(described) == SHARED
    assert described["dev"]["ids"] == [f"cageclock_{DEVICE}"]
    assert described["o"]["name"] == "cageclock"
    assert described["availability_topic"] == f"{ROOT}/availability"
    ids = [part["unique_id"] for part in described["cmps"].values()]
    assert len(set(ids)) == len(ids) >= 5
    for part in described["cmps"].values():
        assert set(part) <= COMMON | KNOWN[part["p"]]
        for key, topic in part.items():
            assert not key.endswith("_topic") or topic.startswith(f"{ROOT}/"), "no picture under the discovery prefix"
        fields = {f"{ROOT}/latest": Reading, f"{ROOT}/health": Health, f"{ROOT}/model/reported": Reported}.get(
            part.get("state_topic")
        )
        for named in re.findall(r"value_json\.(\w+)", part.get("value_template", "")):
            assert named in {field.encode_name for field in msgspec.structs.fields(fields)}


def test_pressing_its_button_is_a_request_that_the_device_takes(tmp_path, broker) -> None:
    cage = Cage(tmp_path, broker.port, mqtt={"home_assistant": True})
    with Desk(broker.port, "homeassistant/#") as home, Desk(broker.port) as desk, cage.publish():
        button = json.loads(wait_until(lambda: home.heard(CONFIG))[0])["cmps"]["capture"]
        pressed = re.sub(r"\{\{ now\(\)\.timestamp\(\) \| int \}\}", "1790000000", button["command_template"]).encode()
        request = jsontext.decode(pressed, CaptureRequest)
        desk.say(button["command_topic"], pressed)
        assert wait_until(lambda: desk.results(request.id))[0]["status"] == "accepted"


def test_a_switch_that_is_turned_off_clears_what_was_retained(tmp_path, broker) -> None:
    cage = Cage(tmp_path, broker.port, mqtt={"home_assistant": True})
    with Desk(broker.port, "homeassistant/#") as home, cage.publish():
        wait_until(lambda: home.heard(CONFIG))
    cage.change(mqtt={"home_assistant": False})
    with Desk(broker.port, "homeassistant/#") as home, Desk(broker.port) as desk, cage.publish():
        wait_until(lambda: home.heard(CONFIG)[-1:] == [b""])
        wait_until(lambda: not (cage.state / "home-assistant.topics").read_text())
        wait_until(lambda: desk.heard(f"{ROOT}/health"))
    with Desk(broker.port, "homeassistant/#") as late:
        time.sleep(1)
        assert late.heard(CONFIG) == []


def test_nothing_is_said_to_it_unless_the_settings_ask(tmp_path, broker) -> None:
    cage = Cage(tmp_path, broker.port)
    with Desk(broker.port, "homeassistant/#") as home, Desk(broker.port) as desk, cage.publish():
        wait_until(lambda: desk.heard(f"{ROOT}/health"))
        home.say("homeassistant/status", b"online")
        time.sleep(2)
        assert home.heard(CONFIG) == []
