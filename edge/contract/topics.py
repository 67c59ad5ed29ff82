"""The topic tree: `cageclock/v1/<device_id>/...`, fixed depth."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge.errors import MessageError

ROOT = "cageclock/v1"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""Device, station and cage names: no wildcard, no slash, no dot (CVE-2017-7650 was a wildcard in a user name)."""

_ROLES = re.compile(r"station|(operator|dashboard)(-[0-9]{1,2})?")
"""Names to which the packaged access list gives rights of their own: a device of such a name would have them."""

STREAMS = ("reading", "record", "thumbnail")
COMMANDS = ("capture", "replay")


@dataclass(frozen=True, slots=True)
class DeviceTopics:
    """The topics of one device, as strings without wildcards."""

    device_id: str

    def __post_init__(self) -> None:
        """Refuse a name that could reach beyond its own subtree."""
        check_name(self.device_id)

    @property
    def root(self) -> str:
        """The device's subtree."""
        return f"{ROOT}/{self.device_id}"

    def of(self, suffix: str) -> str:
        """Return the topic under this device, for example `of("thumbnail/latest")`."""
        return f"{self.root}/{suffix}"

    def command(self, name: str) -> str:
        """Return the topic on which the command is requested; `+` subscribes to all."""
        return self.of(f"command/{name}")

    def committed(self, station: str) -> str:
        """Return the topic of the station's watermark for this device."""
        return self.of(f"committed/{station}")

    def summary(self, name: str) -> str:
        """Return the topic of the retained summary of a subject or cage."""
        return self.of(f"summary/{topic_part(name)}")


def station_availability(station: str) -> str:
    """Return the topic that says (retained, last will) whether the station is there."""
    return f"{ROOT}/station/{check_name(station)}/availability"


def check_name(name: str) -> str:
    """Return the name itself.

    Raises:
        MessageError: it is not 1-32 characters of a-z, 0-9 and `-`, or it is the name of a role on the broker.
    """
    if NAME.fullmatch(name) is None:
        raise MessageError(f"expected a name of 1-32 characters a-z, 0-9, '-', got {name!r}")
    if _ROLES.fullmatch(name) is not None:
        raise MessageError(
            f"expected a name that is no role on the broker (station, operator, dashboard), got {name!r}"
        )
    return name


def check_device(device_id: str, station: str | None) -> str:
    """Return the device's name itself, which must not be the station's or one of its loggers' (`lab1-a`).

    A certificate is known by its name alone: such a device could say what the station has committed.

    Raises:
        MessageError: it is no name, the name of a role, or the station's.
    """
    check_name(device_id)
    if station is not None and re.fullmatch(re.escape(station) + "(-[a-z])?", device_id) is not None:
        raise MessageError(f"expected a name that is not the station's or one of its loggers', got {device_id!r}")
    return device_id


def topic_part(name: str) -> str:
    """Return a subject's or cage's name with every character that MQTT or a reader could trip over replaced by `_`."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:64] or "_"


def parse_topic(topic: str) -> tuple[str, str]:
    """Return (device_id, suffix) of a topic below the root.

    Raises:
        MessageError: it is not below the root, or its device name is not one.
    """
    prefix, _, rest = topic.partition(ROOT + "/")
    device_id, slash, suffix = rest.partition("/")
    if prefix or not slash or not suffix:
        raise MessageError(f"expected a topic {ROOT}/<device>/<what>, got {topic!r}")
    return check_name(device_id), suffix
