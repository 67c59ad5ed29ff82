"""`publish.json`: what publish says of its connection to `cageclock doctor`, which cannot look for itself.

The broker knows a device by its certificate alone, and ends the older of two connections of one name: a doctor that
connected beside publish would take its place. Replaced atomically when something changes, never fsynced.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edge.config.load import config_sha256
from edge.config.state_folder import delivery_path, publish_folder
from edge.config.tree import Config, Mqtt
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.errors import MessageError
from edge.outbox.lock import is_held

FILE = "publish.json"


class PublishStatus(Struct, frozen=True, kw_only=True):
    """The newest state of the publishing process.

    since: when it became so. said: why it is not connected, or what the broker denies; "" while all is well.
    config_sha256: of the settings that the process runs with. station_heard: whether the station of the settings was
    heard of since the process began; a version before this field wrote none.
    """

    broker: str
    connected: bool
    since: datetime
    said: str
    config_sha256: str
    station_heard: bool | None = None


class StatusFile:
    """The one writer: the publishing process."""

    def __init__(self, config: Config) -> None:
        """Nothing is written before the first `note`."""
        self._path = publish_folder(Path(config.state_dir)) / FILE
        self._broker, self._digest = where(config.mqtt), config_sha256(config)
        self._noted: tuple[bool, str] | None = None
        self._since = datetime.now(UTC)
        self._station_heard = False

    def hear_station(self) -> None:
        """Note that the station was heard of."""
        if not self._station_heard:
            self._station_heard = True
            if self._noted is not None:
                self._write(*self._noted)

    def note(self, *, connected: bool, said: str = "") -> None:
        """Replace the file where this is news; a full disk is no reason to stop."""
        if self._noted == (connected, said):
            return
        self._since = datetime.now(UTC)
        self._write(connected, said)

    def _write(self, connected: bool, said: str) -> None:
        self._noted = (connected, said)
        status = PublishStatus(
            broker=self._broker,
            connected=connected,
            since=self._since,
            said=said,
            config_sha256=self._digest,
            station_heard=self._station_heard,
        )
        temporary = self._path.with_name(f".{FILE}")
        try:
            temporary.write_bytes(jsontext.encode(status))
            os.replace(temporary, self._path)
        except OSError:
            self._noted = None
            temporary.unlink(missing_ok=True)


def is_running(state_dir: Path) -> bool:
    """Return whether a publishing process has this state directory."""
    return is_held(lock_path(state_dir))


def lock_path(state_dir: Path) -> Path:
    """Return the lock that a publishing process holds."""
    return delivery_path(state_dir).with_name("delivery.lock")


def read_publish_status(state_dir: Path) -> PublishStatus | None:
    """Return what publish last said, None where there is nothing to be read."""
    try:
        return jsontext.decode((publish_folder(state_dir) / FILE).read_bytes(), PublishStatus)
    except (OSError, MessageError, msgspec.DecodeError):
        return None


def where(mqtt: Mqtt) -> str:
    """Return the broker's address as `host:port`."""
    return f"{mqtt.host}:{mqtt.port}"
