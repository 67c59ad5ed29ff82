"""The zone of a room's clock: a fixed offset, or an IANA zone where the room follows daylight saving."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from edge.errors import ConfigError

_OFFSET = re.compile(r"([+-])([01][0-9]|2[0-3]):([0-5][0-9])")


def zone_of(text: str) -> tzinfo:
    """Return the zone of `+01:00` or `Europe/Zurich`.

    Raises:
        ConfigError: neither a fixed offset nor a zone that this machine knows.
    """
    match = _OFFSET.fullmatch(text)
    if match is not None:
        minutes = int(match[2]) * 60 + int(match[3])
        return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:  # unknown, malformed, or a folder of zones
        expected = "a fixed offset such as '+01:00', or an IANA zone of this machine such as Europe/Zurich"
        raise ConfigError("light_cycle.zone", expected, repr(text)) from error
