"""A broker that accepts and says nothing, or answers what paho cannot parse: both sides are back within a minute."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config.tree import Mqtt
from edge.publish.connection import Connection
from tests.campaigns.backlog import FleetRig
from tests.harness.mosquitto import Mosquitto
from tests.harness.relay import Relay
from tests.harness.waiting import wait_until
from tests.system.rig import query

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(2400)]
BACK_WITHIN_S = 400.0
"""Ten times the keep-alive and a half, with the longest pause between two tries."""


class Twister(Relay):
    """A relay to a broker. `mute`: what the broker says is swallowed; `twist`: the next PUBACK gets the reason 0x95."""

    def __init__(self, port: int) -> None:
        self.mute, self.twist, self.twisted, self.swallowed = False, False, 0, 0
        super().__init__(port)

    def pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        while data := source.recv(65536):
            if not upward and self.mute:
                self.swallowed += len(data)
                continue
            if not upward and self.twist and data[:2] in (b"\x40\x02", b"\x40\x03"):
                self.twist, last = False, 2 + data[1]
                self.twisted += 1
                data = b"\x40\x03" + data[2:4] + b"\x95" + data[last:]
            sink.sendall(data)


class TwistedRig(FleetRig):
    """The rig with a relay before publish and one before the station."""

    def __init__(self, folder: Path) -> None:
        self.relays: list[Twister] = []
        super().__init__(folder, seed=1)
        self.broker.start()
        self.relays = [Twister(self.broker.port) for _ in range(2)]
        config = folder / "cageclock.yaml"
        config.write_text(config.read_text().replace(f"port: {self.broker.port}", f"port: {self.relays[0].port}"))
        command = ["-m", "station.cli", "run", "--host", "127.0.0.1", "--port", str(self.relays[1].port)]
        self.parts["station"] = self.part("station", [*command, "--name", "lab1", "--data", str(self.data)])

    def end(self) -> None:
        super().end()
        for relay in self.relays:
            relay.close()

    def counted(self, kind: str) -> bool:
        """Return whether the device's newest health record at the station counts an end of this kind."""
        rows = query(self.data / "station.db", "SELECT body FROM device_state WHERE what = 'health'")
        return bool(rows) and json.loads(rows[0][0])["connection_ends"].get(kind, 0) >= 1

    def arrives(self) -> None:
        """Append a reading and wait until the station has it."""
        seq = self.append()
        wait_until(lambda: seq in self.stored(self.data), BACK_WITHIN_S)


@pytest.fixture
def rig(tmp_path: Path):
    made = TwistedRig(tmp_path)
    yield made
    made.end()


def _begin(rig: TwistedRig) -> None:
    for part in rig.parts.values():
        part.start()


def test_a_broker_that_accepts_and_never_answers_is_left_found_again_and_counted(rig: TwistedRig) -> None:
    rig.relays[0].mute = True
    _begin(rig)
    wait_until(lambda: rig.relays[0].swallowed > 0)
    rig.relays[0].mute = False  # the connection that was never answered stays so: its CONNACK is gone
    rig.arrives()
    assert "takes connections and does not answer" in rig.parts["publish"].log()
    wait_until(lambda: rig.counted("unanswered"))


def test_a_connection_that_falls_silent_is_made_anew_and_counted_in_health(rig: TwistedRig) -> None:
    _begin(rig)
    rig.arrives()
    rig.relays[0].mute = True
    seq = rig.append()
    wait_until(lambda: "no longer answers" in rig.parts["publish"].log(), BACK_WITHIN_S)
    rig.relays[0].mute = False
    wait_until(lambda: seq in rig.stored(rig.data), BACK_WITHIN_S)
    rig.arrives()
    wait_until(lambda: rig.counted("silent"))


def test_an_answer_that_paho_cannot_parse_is_survived_by_the_device_and_counted_in_health(rig: TwistedRig) -> None:
    _begin(rig)
    rig.arrives()
    rig.relays[0].twist = True
    rig.arrives()
    assert rig.relays[0].twisted == 1
    wait_until(lambda: rig.counted("unreadable"))


def test_an_answer_that_paho_cannot_parse_is_survived_by_the_station(rig: TwistedRig) -> None:
    _begin(rig)
    rig.arrives()
    rig.relays[1].twist = True
    rig.arrives()
    wait_until(lambda: rig.relays[1].twisted == 1)  # the answer to the watermark
    wait_until(lambda: rig.parts["station"].log().count("connected to") >= 2, BACK_WITHIN_S)
    rig.arrives()


def test_a_callback_that_raises_ends_the_connection_and_says_so(tmp_path: Path) -> None:
    def fail(topic: str, payload: bytes, retained: bool) -> None:
        raise ZeroDivisionError(topic)

    with Mosquitto(tmp_path) as broker:
        link = Connection(Mqtt(host=broker.host, port=broker.port), "one", "will", fail, lambda mid, code: None)

        def turned(until: Callable[[], bool]) -> bool:
            link.turn(0.05)
            return until()

        wait_until(lambda: turned(lambda: link.connected))
        link.subscribe(["here"])
        link.publish("here", b"x")
        wait_until(lambda: turned(lambda: link.ended is not None))
        assert "ZeroDivisionError" in link.ended.text
        assert not link.connected
