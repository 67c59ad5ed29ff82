"""A real `cageclock-station run` as a child process, and a device's side of the broker, for tests."""

import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.contract import jsontext, topics
from edge.contract.committed import Committed
from station.store.message import Arrival
from tests.harness.child import REPOSITORY, Child, python

ROOT = REPOSITORY
NAME = "lab1"


class StationProcess(Child):
    """The child; leaving the `with` block kills it whatever its state."""

    def __init__(self, data: Path, port: int, *more: str) -> None:
        self.data = data
        command = python("-m", "station.cli", "run", "--host", "127.0.0.1", "--port", port, "--name", NAME)
        super().__init__([*command, "--data", str(data), *more], data.with_name(data.name + ".log"))

    def listens(self) -> bool:
        """Return whether the broker has granted its subscriptions at least once."""
        return "connected to" in self.log()


class Device:
    """A device's client: sends what it is asked to, keeps the newest promise and the station's availability."""

    def __init__(self, port: int, device: str = "cage-1", *, five: bool = True, **login: str) -> None:
        self.device = device
        self.promises: list[Committed] = []
        self.availability: list[str] = []
        self.denied = 0
        protocol = MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311
        self._five = five
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, f"test-{device}-{time.monotonic_ns()}", protocol=protocol
        )
        if login:
            self._client.username_pw_set(login["username"], login["password"])
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, *messages: Arrival, retain: bool = False) -> None:
        for message in messages:
            properties = None
            if message.properties and self._five:
                properties = Properties(PacketTypes.PUBLISH)
                properties.UserProperty = list(message.properties)
            topic = topics.DeviceTopics(message.device).of(message.stream)
            self._client.publish(topic, message.payload, qos=1, retain=retain, properties=properties)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain)

    def through(self) -> int:
        """The sum of what the newest promise accounts for, over all epochs."""
        if not self.promises:
            return 0
        return sum(
            found.through - sum(last - first + 1 for first, last in found.holes) for found in self.promises[-1].epochs
        )

    def _on_connect(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(
            [(topics.DeviceTopics(self.device).committed(NAME), 1), (topics.station_availability(NAME), 1)]
        )

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.endswith("availability"):
            self.availability.append(bytes(message.payload).decode())
        else:
            self.promises.append(jsontext.decode(bytes(message.payload), Committed))
