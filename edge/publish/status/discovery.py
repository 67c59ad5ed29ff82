"""The device's description for Home Assistant: published where it is wanted, taken back where it is not."""

from __future__ import annotations

from edge.config.tree import Config
from edge.contract import jsontext
from edge.publish.connection import Connection
from edge.publish.ended import FAILURE
from edge.publish.status.announced import Announced
from edge.publish.status.home_assistant import discovery_topic, make_discovery


class Discovery:
    """One retained message; what an earlier setting left retained is emptied, and forgotten once the broker has it."""

    def __init__(self, config: Config, announced: Announced) -> None:
        """Nothing is published before the first connection."""
        self._config, self._announced = config, announced
        self._emptied: dict[int, str] = {}

    def connect(self, connection: Connection) -> None:
        """Describe the device on a new connection."""
        self._emptied.clear()
        self.publish(connection)

    def publish(self, connection: Connection) -> None:
        """Describe the device, or take back what is retained where it is not to be described."""
        wanted = discovery_topic(self._config) if self._config.mqtt.home_assistant else None
        for topic in self._announced.topics - {wanted}:
            mid = connection.publish(topic, b"", retain=True)
            if mid is not None:
                self._emptied[mid] = topic
        if wanted is not None:
            self._announced.add(wanted)
            connection.publish(wanted, jsontext.encode(make_discovery(self._config)), retain=True)

    def acked(self, mid: int, code: int) -> None:
        """Take in the broker's answer to a message."""
        topic = self._emptied.pop(mid, None)
        if topic is not None and code < FAILURE:
            self._announced.remove(topic)
