"""What an ordinary MQTT subscriber sees of the demo: the newest reading of each device, and what was committed."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.contract import identity, jsontext, topics
from edge.contract.committed import Committed
from edge.contract.reading import Reading
from edge.demo.broker import Broker
from edge.errors import MessageError


@dataclass(slots=True)
class Seen:
    """One device as the subscriber sees it."""

    readings: set[tuple[str, int]] = field(default_factory=set)
    accepted: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    newest: Reading | None = None
    newest_seq: int = 0
    age_days: float | None = None
    interval_days: tuple[float, float] | None = None
    committed: int = 0


class Subscriber:
    """A subscriber of its own beside the station; it logs nothing and acknowledges at once."""

    def __init__(self, broker: Broker) -> None:
        """Connect in the background; call `stop` at the end."""
        version = MQTTProtocolVersion.MQTTv5 if broker.version == "5" else MQTTProtocolVersion.MQTTv311
        self._seen: dict[str, Seen] = {}
        self._lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="demo-watch", protocol=version)
        if broker.username is not None and broker.password_file is not None:
            self._client.username_pw_set(broker.username, broker.password_file.read_text().strip())
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.connect_async(broker.host, broker.port)
        self._client.loop_start()

    def seen(self, device_id: str) -> Seen:
        """Return what is known of a device so far."""
        with self._lock:
            return self._seen.setdefault(device_id, Seen())

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self, client: mqtt.Client, _data: object, _flags: object, _code: ReasonCode, _properties: Properties | None
    ) -> None:
        client.subscribe([(f"{topics.ROOT}/+/reading", 1), (f"{topics.ROOT}/+/committed/+", 1)])

    def _on_message(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with contextlib.suppress(
            MessageError
        ):  # the station quarantines what cannot be read; here it is only passed over
            device_id, what = topics.parse_topic(message.topic)
            if what == "reading":
                self._take_reading(device_id, bytes(message.payload))
            else:
                self._take_committed(device_id, bytes(message.payload))

    def _take_reading(self, device_id: str, payload: bytes) -> None:
        head, body = identity.split(payload)
        reading = jsontext.decode(body, Reading)
        seen = self.seen(device_id)
        with self._lock:
            if (head.epoch, head.seq) in seen.readings:
                return
            seen.readings.add((head.epoch, head.seq))
            seen.accepted += reading.accepted
            seen.outcomes[reading.outcome] = seen.outcomes.get(reading.outcome, 0) + 1
            if head.seq < seen.newest_seq:
                return
            seen.newest, seen.newest_seq = reading, head.seq
            estimate = reading.animals[0].estimate if len(reading.animals) == 1 else None
            if reading.age_days is not None and estimate is not None:
                seen.age_days = reading.age_days
                low, high = estimate.interval_low_days, estimate.interval_high_days
                seen.interval_days = None if low is None or high is None else (low, high)

    def _take_committed(self, device_id: str, payload: bytes) -> None:
        committed = jsontext.decode(payload, Committed)
        held = sum(epoch.through - sum(last - first + 1 for first, last in epoch.holes) for epoch in committed.epochs)
        self.seen(device_id).committed = held
