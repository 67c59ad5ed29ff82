"""A client in the lab."""

from __future__ import annotations

import json
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.contract import identity
from tests.harness.waiting import LIMIT_S
from tests.system.cage import ROOT


class Desk:
    """A client in the lab that hears everything of the device and can say something."""

    def __init__(self, port: int, pattern: str = f"{ROOT}/#") -> None:
        self._heard: list[tuple[str, bytes, bool]] = []
        self._lock, ready = threading.Lock(), threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._take
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_connect = lambda client, *_: client.subscribe(pattern, qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(LIMIT_S)

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=1).wait_for_publish(LIMIT_S)

    def heard(self, topic: str) -> list[bytes]:
        with self._lock:
            return [payload for name, payload, _ in self._heard if name == topic]

    def results(self, request: str, status: str = "") -> list[dict[str, Any]]:
        """Return what was answered to a request; a broken connection may bring an answer twice."""
        found = [json.loads(payload) for payload in self.heard(f"{ROOT}/result")]
        return [result for result in found if result["id"] == request and status in ("", result["status"])]

    def numbers(self) -> list[int]:
        """Return the numbers of the readings and records that were replayed, in the order of arrival."""
        return [seq for _, seq in self.replayed()]

    def replayed(self) -> list[tuple[str, int]]:
        """Return epoch and number of the readings and records that were replayed, in the order of arrival."""
        with self._lock:
            all_ = [payload for name, payload, _ in self._heard if name in (f"{ROOT}/reading", f"{ROOT}/record")]
        heads = [identity.split(payload)[0] for payload in all_]
        return [(head.epoch, head.seq) for head in heads if head.replayed]

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        with self._lock:
            self._heard.append((message.topic, bytes(message.payload), bool(message.retain)))
