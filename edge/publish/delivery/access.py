"""What the broker's access list denies of the streams: a pause, and one line for whoever keeps the list."""

from __future__ import annotations

from collections.abc import Callable

from edge.config.tree import Config
from edge.contract.topics import DeviceTopics
from edge.publish.delivery.stream import Stream
from edge.publish.log import StateLog

PAUSE_S = 30.0


class Access:
    """Which streams are denied at present. jitter: returns a factor of about 0.5-1.5."""

    def __init__(self, config: Config, log: StateLog, jitter: Callable[[], float]) -> None:
        """Everything is allowed until the broker says otherwise."""
        name = config.mqtt.username
        self._user = f"the user {name}" if name is not None else f"this device ({config.device_id})"
        self._root, self._log, self._jitter = DeviceTopics(config.device_id).root, log, jitter
        self._denied: set[str] = set()

    def pause(self, stream: Stream, now_s: float) -> None:
        """Send nothing more of a stream for a while."""
        stream.paused_until_s = now_s + PAUSE_S * self._jitter()

    def deny(self, stream: Stream, topic: str, now_s: float) -> None:
        """Pause a stream whose topic is denied; reported once for both, whose topics stand in the same rule."""
        self.pause(stream, now_s)
        if not self._denied:
            self._log.report(
                "denied",
                f"mqtt: the broker denies {self._user} the topic {topic}; give it write access to "
                f"{self._root}/# in the broker's access list. It is tried again; nothing is lost",
            )
        self._denied.add(stream.name)

    def allow(self, stream: Stream) -> None:
        """Note that the broker has taken a message of a stream."""
        self._denied.discard(stream.name)
