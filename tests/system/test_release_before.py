"""A release works with the one before on the other side of the wire, whichever of the two a lab upgrades first.

`tests/data/version-0.1.0-wire.tar.xz` holds what a device and a station of version 0.1.0 sent each other (two starts of
capture, a replay, a capture by command), recorded at a broker, and the schemas of that version's contract.
"""

from __future__ import annotations

import base64
import json
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge.contract import identity, jsontext
from edge.contract.committed import read_committed
from edge.errors import MessageError
from station.store.message import STATES, Arrival
from station.store.store import Store
from tests.harness.child import REPOSITORY
from tests.harness.mosquitto import Mosquitto
from tests.harness.schema_check import violations
from tests.harness.waiting import wait_until
from tests.system.cage import DEVICE, ROOT, STATION, Cage

BEFORE = REPOSITORY / "tests/data/version-0.1.0-wire.tar.xz"
RECORDS = ("reading", "record")
ADDED = {
    "info": {"starts", "before", "before_last", "oldest_held"},
    "health": {"longest_interval_s"},
}
"""Fields of retained states that version 0.1.0 did not know: its station keeps a state as it is and reads on."""
UNHEARD = {"model/reported"}
"""Topics that version 0.1.0 did not know: its station subscribes to each stream by name, and not to these."""


@dataclass(frozen=True)
class Message:
    """One message at the broker."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]

    @property
    def stream(self) -> str:
        return self.topic.removeprefix(f"{ROOT}/")


class Wire:
    """What version 0.1.0 said, and what its contract accepts."""

    def __init__(self) -> None:
        with tarfile.open(BEFORE) as archive:
            content = {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}
        lines = [json.loads(line) for line in content["messages.jsonl"].splitlines()]
        self.messages = [
            Message(one["topic"], base64.b64decode(one["payload"]), tuple(one["properties"].items())) for one in lines
        ]
        self._schemas = {
            json.loads(text)["$id"]: json.loads(text) for name, text in content.items() if "schemas" in name
        }

    def faults(self, message: Message) -> list[str]:
        """Return what the contract of version 0.1.0 finds wrong with a message of now."""
        value = json.loads(message.payload)
        kind, _, number = value["schema"].removeprefix("cageclock/").partition("/")
        schema = self._schemas.get(f"urn:cageclock:{kind}.v{number}")
        if schema is None:
            return [f"{message.topic}: unknown schema {value['schema']}"]
        new = {f"{field} is unknown" for field in ADDED.get(kind, ())}
        return [
            f"{message.topic}: {text}" for text in violations(value, schema, schema.get("$defs", {})) if text not in new
        ]


@pytest.fixture(scope="module")
def wire() -> Wire:
    return Wire()


def arrivals(wire: Wire) -> list[Arrival]:
    streams = (*RECORDS, "thumbnail", *STATES)
    ours = [one for one in wire.messages if one.topic.startswith(f"{ROOT}/") and one.stream in streams]
    return [Arrival(DEVICE, one.stream, one.payload, 1e9, one.properties) for one in ours]


def test_what_a_device_of_the_release_before_sends_is_stored_whole(tmp_path: Path, wire: Wire) -> None:
    sent = arrivals(wire)
    store = Store.open(tmp_path)
    taken = store.take(sent)
    committed = store.committed(DEVICE)
    store.close()
    heads = [identity.split(one.payload)[0] for one in sent if one.stream in RECORDS]
    keys = {(head.epoch, head.seq) for head in heads}
    pictures = {one.properties for one in sent if one.stream == "thumbnail"}
    assert (taken.stored, taken.quarantined, taken.conflicts) == (len(keys) + len(pictures), 0, 0), taken
    through = {(of.epoch, of.through, of.holes, of.thumbnails_through) for of in committed.epochs if of.through}
    last = max(seq for _, seq in keys)
    assert through == {(heads[0].epoch, last, (), last)}, "the epoch of publish's own events has none yet"


def test_what_this_station_answers_is_read_by_a_device_of_the_release_before(tmp_path: Path, wire: Wire) -> None:
    store = Store.open(tmp_path)
    store.take(arrivals(wire))
    answer = jsontext.encode(store.committed(DEVICE))
    store.close()
    assert wire.faults(Message(f"{ROOT}/committed/{STATION}", answer, ())) == []


def test_what_a_station_of_the_release_before_answers_is_read_by_this_device(wire: Wire) -> None:
    answers = [one.payload for one in wire.messages if one.stream == f"committed/{STATION}"]
    newest = read_committed(answers[-1])
    assert len(answers) > 5
    assert b'"known"' in answers[-1], "digests, by which that version compared what two cards held"
    assert [(of.through, of.holes, of.thumbnails_through) for of in newest.epochs if of.through] == [(9, (), 9)]


def test_what_nobody_knows_in_a_stations_answer_is_refused_all_the_same(wire: Wire) -> None:
    answer = next(one.payload for one in reversed(wire.messages) if one.stream == f"committed/{STATION}")
    with pytest.raises(MessageError, match="unknown field"):
        read_committed(answer.replace(b'"known"', b'"unknown"'))


class Recorder:
    """Keeps every message of the device from now on."""

    def __init__(self, port: int) -> None:
        self.messages: list[Message] = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_message = self._keep
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe(f"{ROOT}/#", qos=1)
        assert self._subscribed.wait(60)

    def _keep(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.messages.append(Message(message.topic, bytes(message.payload), ()))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[tuple[Recorder, Cage]]:
    with Mosquitto(tmp_path / "broker") as broker:
        recorder = Recorder(broker.port)
        yield recorder, Cage(tmp_path / "lab", broker.port, thumbnail={"width": 64})
        recorder.close()


@pytest.mark.broker
def test_what_this_device_sends_is_what_the_contract_of_the_release_before_accepts(
    recorder: tuple[Recorder, Cage], wire: Wire
) -> None:
    """Records, pictures' identities, states and answers, over two starts: a second epoch and its beginning."""
    heard, cage = recorder
    with cage.station(), cage.publish():
        for captures in (2, 1):
            assert cage.capture(captures)[0] == 0
            cage.arrives()
        wait_until(lambda: cage.released() == cage.epochs())
    said = [one for one in heard.messages if one.payload[:1] == b"{" and "/committed/" not in one.topic]
    assert {one.stream for one in said} >= UNHEARD
    said = [one for one in said if one.stream not in UNHEARD]
    assert {"reading", "record", "latest", "info", "health"} <= {one.stream for one in said}
    assert any(b'"code":"epoch_begun"' in one.payload for one in said)
    assert [fault for one in said for fault in wire.faults(one)] == []
    bodies = [one for one in said if one.stream in RECORDS]
    assert all(identity.split(one.payload)[0].first_held >= 1 for one in bodies)
