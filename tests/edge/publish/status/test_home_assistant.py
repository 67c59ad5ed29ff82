"""What is sent to Home Assistant fits what the device sends and takes."""

from __future__ import annotations

import json
import re

import jinja2
import msgspec
import pytest

from edge.config.tree import Cage, Camera, Config, Mqtt
from edge.contract import jsontext
from edge.contract.command import CaptureRequest
from edge.contract.reading import Reading
from edge.contract.reported import Reported
from edge.contract.schema_files import EXAMPLES, FOLDER
from edge.contract.status import Health
from edge.contract.topics import DeviceTopics
from edge.publish.status.home_assistant import discovery_topic, make_discovery

CONFIG = Config(
    device_id="cage07",
    state_dir="/nowhere",
    cage=Cage(id="c7"),
    camera=Camera(backend="simulated"),
    mqtt=Mqtt(home_assistant=True),
)
TOPICS = DeviceTopics("cage07")
ENTITIES = make_discovery(CONFIG)["cmps"]


@pytest.mark.parametrize("name", [name for name, entity in ENTITIES.items() if "value_template" in entity])
def test_a_template_reads_a_field_that_its_topic_has(name: str) -> None:
    entity = ENTITIES[name]
    payloads = {TOPICS.of("latest"): Reading, TOPICS.of("health"): Health, TOPICS.of("model/reported"): Reported}
    found = set(re.findall(r"value_json\.(\w+)", entity["value_template"]))
    assert found
    assert found <= {one.name for one in msgspec.structs.fields(payloads[entity["state_topic"]])}


def rendered(template: str, example: str, **changes: object) -> str:
    """Return what Home Assistant makes of a template and a stored message, with other values."""
    values = json.loads((FOLDER / EXAMPLES / example).read_bytes()) | changes
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(template).render(value_json=values)


def test_interval_and_spread_stand_beside_the_age_and_health_beside_the_problem() -> None:
    age = ENTITIES["age"]
    assert age["json_attributes_topic"] == TOPICS.of("latest")
    attributes = json.loads(rendered(age["json_attributes_template"], "reading.v1.json"))
    assert attributes["interval_low_days"] < attributes["interval_high_days"]
    assert attributes["sd_days"] > 0
    nobody = json.loads(rendered(age["json_attributes_template"], "reading.v1.no-mouse.json"))
    assert nobody["interval_low_days"] is None
    refused = json.loads(rendered(age["json_attributes_template"], "reading.v1.json", accepted=False))
    assert refused["interval_low_days"] is refused["sd_days"] is None, "no interval of an age that is not given"
    assert ENTITIES["problem"]["json_attributes_topic"] == TOPICS.of("health")
    assert [key for key, one in ENTITIES.items() if one.get("entity_category") == "diagnostic"] == [
        "outcome",
        "temperature",
        "problem",
        "model",
    ]


def test_the_update_entity_says_what_runs_and_what_is_on_its_way() -> None:
    entity = ENTITIES["model"]
    assert entity["state_topic"] == TOPICS.of("model/reported")
    assert "command_topic" not in entity  # nobody flashes a model from a dashboard
    template = entity["value_template"]
    fetching = json.loads(rendered(template, "model-reported.v1.json"))
    assert fetching["installed_version"] == "2026.1 (release 12)"
    assert fetching["latest_version"] != fetching["installed_version"]
    assert (fetching["in_progress"], fetching["update_percentage"]) == (True, 4)
    assert fetching["release_summary"].startswith("fetching: ")
    good = json.loads(rendered(template, "model-reported.v1.json", state="good", advice="", size=0))
    assert good["latest_version"] == good["installed_version"]
    assert (good["in_progress"], good["update_percentage"], good["release_summary"]) == (False, None, "good")
    shadow = json.loads(rendered(template, "model-reported.v1.shadow.json"))
    assert shadow["in_progress"] is False
    safe = json.loads(rendered(template, "model-reported.v1.safe-mode.json"))
    assert safe["installed_version"] == "none"


def test_of_several_animals_the_cages_summary_is_shown() -> None:
    """Which of them was accepted last says nothing of the cage."""
    group = msgspec.structs.replace(CONFIG, cage=Cage(id="c7", animals=3))
    age = make_discovery(group)["cmps"]["age"]
    assert age["state_topic"] == age["json_attributes_topic"] == TOPICS.summary("c7")
    assert float(rendered(age["value_template"], "summary.v1.json")) > 0
    attributes = json.loads(rendered(age["json_attributes_template"], "summary.v1.json"))
    assert attributes["window"] == "day"
    assert attributes["interval_low_days"] < attributes["interval_high_days"]


def test_the_button_sends_a_request_that_the_device_takes() -> None:
    """Its text is a template, which Home Assistant renders only under `command_template`; each press has its own id."""
    button = ENTITIES["capture"]
    assert button["command_topic"] == TOPICS.command("capture")
    assert "payload_press" not in button
    rendered = re.sub(r"\{\{ now\(\)\.timestamp\(\) \| int \}\}", "1767225600", button["command_template"])
    assert jsontext.decode(rendered.encode(), CaptureRequest).id == "home-assistant-1767225600"


def test_every_entity_has_a_name_of_its_own_and_the_picture_stays_off_the_prefix() -> None:
    assert len({entity["unique_id"] for entity in ENTITIES.values()}) == len(ENTITIES)
    assert discovery_topic(CONFIG) == "homeassistant/device/cageclock_cage07/config"
    assert ENTITIES["thumbnail"]["image_topic"] == TOPICS.of("thumbnail/latest")
