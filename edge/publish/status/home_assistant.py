"""Home Assistant's device-based discovery (2024.11 and later): one retained message names every entity."""

from __future__ import annotations

from typing import Any

from edge.config.tree import Config
from edge.contract.topics import DeviceTopics
from edge.version import VERSION


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
    age = entity(
        "sensor",
        "age",
        "Predicted age",
        state_topic=topics.of("latest"),
        value_template="{{ value_json.age_days }}",
        unit_of_measurement="d",
        state_class="measurement",
        json_attributes_topic=health,
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
