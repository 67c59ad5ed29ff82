"""What the tests of publish have in common: a real publish process, and a logger that a lab could have written."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import yaml
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.contract import identity, jsontext
from edge.contract.committed import Committed, CommittedEpoch
from edge.contract.ranges import RangeSet
from tests.harness.child import Child, python
from tests.harness.waiting import LIMIT_S

DEVICE, STATION = "cage07", "lab"
ROOT = f"cageclock/v1/{DEVICE}"


class Publish(Child):
    """`cageclock publish` as a child process."""

    def __init__(self, folder: Path, port: int, *, state_dir: Path | None = None, **mqtt_settings: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.state_dir = state_dir or folder / "state"
        self.state_dir.mkdir(exist_ok=True)
        settings = {
            "device_id": DEVICE,
            "state_dir": str(self.state_dir),
            "cage": {"id": "c7"},
            "camera": {"backend": "simulated"},
            "mqtt": {"host": "127.0.0.1", "port": port, "station": STATION, "resend_after_s": 1.0} | mqtt_settings,
        }
        self.config = folder / "device.yaml"
        self.config.write_text(yaml.safe_dump(settings))
        super().__init__(python("-m", "edge.cli", "publish", "--config", self.config), folder / "publish.log")


class Logger:
    """A station in thirty lines: keeps what comes and, if asked to, publishes what it has."""

    def __init__(self, port: int, *, commits: bool = True, station_db: str = "db-1", online: bool = True) -> None:
        self.station_db, self.commits = station_db, commits
        self.messages: list[tuple[str, bytes, bool, dict[str, str]]] = []
        self.records: dict[str, RangeSet] = {}
        self.pictures: dict[str, RangeSet] = {}
        self._lock = threading.Lock()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(f"{ROOT}/#", qos=1)
        if online:
            there = f"cageclock/v1/station/{STATION}/availability"
            self._client.publish(there, b"online", 1, True).wait_for_publish(LIMIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(f"{ROOT}/{topic}", payload, 1, retain).wait_for_publish(LIMIT_S)

    def commit(self) -> None:
        epochs = []
        for epoch in set(self.records) | set(self.pictures):
            through, holes = self.records.get(epoch, RangeSet()).watermark()
            seen, gaps = self.pictures.get(epoch, RangeSet()).watermark()
            epochs.append(
                CommittedEpoch(epoch=epoch, through=through, holes=holes, thumbnails_through=seen, thumbnail_holes=gaps)
            )
        committed = Committed(station_db=self.station_db, epochs=tuple(epochs))
        self._client.publish(f"{ROOT}/committed/{STATION}", jsontext.encode(committed), 1, True)

    def of(self, topic: str) -> list[bytes]:
        with self._lock:
            return [payload for name, payload, _, _ in self.messages if name == f"{ROOT}/{topic}"]

    def seqs(self) -> list[int]:
        return [identity.split(payload)[0].seq for payload in self.of("reading")]

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        marks = dict(getattr(message.properties, "UserProperty", None) or [])
        with self._lock:
            self.messages.append((message.topic, bytes(message.payload), bool(message.retain), marks))
        name = message.topic.removeprefix(f"{ROOT}/")
        if name in ("reading", "record"):
            head, _ = identity.split(bytes(message.payload))
            self.records.setdefault(head.epoch, RangeSet()).add(head.seq)
        elif name == "thumbnail" and marks:
            self.pictures.setdefault(marks["epoch"], RangeSet()).add(int(marks["seq"]))
        if self.commits and name in ("reading", "record", "thumbnail", "info"):  # a device that shows itself gets them
            self.commit()
