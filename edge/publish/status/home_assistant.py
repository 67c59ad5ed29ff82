"""Home Assistant's device-based discovery (2024.11 and later): one retained message names every entity."""

from __future__ import annotations

from typing import Any

from edge.config.tree import Config
from edge.contract.topics import DeviceTopics
from edge.version import VERSION

_OF_READING = (
    "{% set e = value_json.animals[0].estimate if value_json.accepted and value_json.animals | length == 1"
    " else none %}"
    "{{ {'captured_at': value_json.captured_at, 'accepted': value_json.accepted,"
    " 'interval_low_days': e.interval_low_days if e else none,"
    " 'interval_high_days': e.interval_high_days if e else none,"
    " 'sd_days': e.sd_days if e else none, 'coverage': e.coverage if e else none} | tojson }}"
)
_OF_SUMMARY = (
    "{% set w = value_json.windows[0] %}"
    "{{ {'window': w.kind, 'ends_at': w.ends_at, 'interval_low_days': w.interval_low_days,"
    " 'interval_high_days': w.interval_high_days, 'coverage': w.coverage, 'readings': w.readings,"
    " 'captures': w.captures} | tojson }}"
)
"""Interval and spread beside the age, as attributes of the entity; Jinja, as Home Assistant renders it."""
_OF_MODEL = (
    "{% set r = value_json.running %}"
    "{% set busy = value_json.state in ['fetching', 'installing', 'pending'] %}"
    "{{ {'installed_version': r.model_version ~ ' (release ' ~ r.release ~ ')' if r else 'none',"
    " 'latest_version': (r.model_version ~ ' (release ' ~ r.release ~ ')' if r else 'none')"
    " if value_json.state in ['good', 'pending', 'none', 'safe_mode', 'rolled_back', 'refused']"
    " else 'on its way: ' ~ (value_json.digest or '')[:12],"
    " 'release_summary': (value_json.state ~ (': ' ~ value_json.advice if value_json.advice else ''))[:255],"
    " 'in_progress': busy,"
    " 'update_percentage': (100 * value_json.bytes / value_json.size) | round(0) | int"
    " if value_json.state == 'fetching' and value_json.size else none} | tojson }}"
)
"""Home Assistant's JSON state of an update entity: `latest_version` differs only while a wish is on its way."""


def discovery_topic(config: Config) -> str:
    """Return where the message belongs."""
    return f"{config.mqtt.home_assistant_prefix}/device/cageclock_{config.device_id}/config"


def birth_topic(config: Config) -> str:
    """Return where Home Assistant says that it has started, upon which the message is sent again."""
    return f"{config.mqtt.home_assistant_prefix}/status"


def make_discovery(config: Config) -> dict[str, Any]:
    """Return the message as plain values. The picture's topic lies outside the discovery prefix, on purpose."""
    topics, device = DeviceTopics(config.device_id), config.device_id
    interval_s = max(config.schedule.interval_light_s, config.schedule.interval_dark_s)

    def entity(platform: str, key: str, name: str, **more: Any) -> dict[str, Any]:
        return {"p": platform, "unique_id": f"{device}_{key}", "name": name, **more}

    health = topics.of("health")
    # Of several animals nothing tells apart which one was seen last: then the day's summary of the cage is shown.
    one = config.cage.animals == 1
    age_topic = topics.of("latest") if one else topics.summary(config.cage.id)
    age = entity(
        "sensor",
        "age",
        "Predicted age",
        state_topic=age_topic,
        value_template="{{ value_json.age_days }}" if one else "{{ value_json.windows[0].age_days }}",
        unit_of_measurement="d",
        state_class="measurement",
        json_attributes_topic=age_topic,
        json_attributes_template=_OF_READING if one else _OF_SUMMARY,
        expire_after=int(3 * interval_s),
    )
    return {
        "dev": {"ids": [f"cageclock_{device}"], "name": f"Cage {config.cage.id}", "mf": "CageClock", "sw": VERSION},
        "o": {"name": "cageclock", "sw": VERSION},
        "availability_topic": topics.of("availability"),
        "qos": 1,
        "cmps": {
            "age": age,
            "outcome": entity(
                "sensor",
                "outcome",
                "Last capture",
                state_topic=topics.of("latest"),
                value_template="{{ value_json.outcome }}",
                entity_category="diagnostic",
            ),
            "thumbnail": entity(
                "image", "thumbnail", "Thumbnail", image_topic=topics.of("thumbnail/latest"), content_type="image/jpeg"
            ),
            "temperature": entity(
                "sensor",
                "temperature",
                "Processor temperature",
                state_topic=health,
                device_class="temperature",
                unit_of_measurement="°C",
                entity_category="diagnostic",
                value_template="{{ value_json.cpu_temperature_c }}",
            ),
            "problem": entity(
                "binary_sensor",
                "problem",
                "Problem",
                state_topic=health,
                device_class="problem",
                value_template="{{ 'ON' if value_json.problems else 'OFF' }}",
                entity_category="diagnostic",
                json_attributes_topic=health,
            ),
            # No command topic: a model is flashed by the lab's rollout, whose signatures and order a dashboard has not.
            "model": entity(
                "update",
                "model",
                "Model",
                state_topic=topics.of("model/reported"),
                value_template=_OF_MODEL,
                entity_category="diagnostic",
                title="Age model",
            ),
            "capture": entity(
                "button",
                "capture",
                "Capture now",
                command_topic=topics.command("capture"),
                # A template: `payload_press` would be sent as it stands, and each request needs its own name.
                command_template='{"id":"home-assistant-{{ now().timestamp() | int }}"}',
            ),
        },
    }
