"""A broker that does not take a message, for a while or for ever: nothing is lost, the others go, health says it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from edge.config import tree
from edge.contract import identity, jsontext
from edge.contract.record import Event
from edge.contract.status import Health
from edge.outbox.outbox import Outbox
from tests.edge.outbox.conftest import make_reading
from tests.edge.publish import lab
from tests.edge.publish.lab import Logger, Publish
from tests.harness.mosquitto import Mosquitto, free_port
from tests.harness.relay import Relay
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SETTINGS = tree.Outbox(reserve_mb=0, min_free_mb=0)
IMPLEMENTATION = 0x83


class Refuser(Relay):
    """A relay before a broker that answers some of a device's messages itself, with a reason that refuses them."""

    def __init__(self, port: int, refuses: Callable[[bytes], bool]) -> None:
        self.refuses, self.refused = refuses, 0
        super().__init__(port)

    def pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        """Look at each whole packet of the device: fixed head, remaining length in 7-bit groups (MQTT 5, section 2)."""
        if not upward:
            super().pump(source, sink, upward)
            return
        buffer = b""
        while data := source.recv(65536):
            buffer += data
            while (size := _packet_size(buffer)) is not None and len(buffer) >= size:
                packet, buffer = buffer[:size], buffer[size:]
                number = _number_of(packet)
                if number is not None and self.refuses(packet):
                    self.refused += 1
                    source.sendall(b"\x40\x03" + number + bytes([IMPLEMENTATION]))
                else:
                    sink.sendall(packet)


def _packet_size(buffer: bytes) -> int | None:
    length = 0
    for place, byte in enumerate(buffer[1:5]):
        length |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return 2 + place + length
    return None


def _number_of(packet: bytes) -> bytes | None:
    """Return the packet identifier of a PUBLISH with QoS 1."""
    if packet[0] & 0xF6 != 0x32:
        return None
    start = 1 + next(place for place, byte in enumerate(packet[1:5], 1) if not byte & 0x80)
    end = start + 2 + int.from_bytes(packet[start : start + 2], "big")
    return packet[end : end + 2]


@pytest.fixture
def outbox(tmp_path):
    (tmp_path / "state").mkdir()
    made = Outbox.open(tmp_path / "state", SETTINGS, device_id=lab.DEVICE, serial="serial")
    yield made
    made.close()


def _events(logger: Logger) -> list[Event]:
    bodies = [identity.split(payload)[1] for payload in logger.of("record")]
    return [jsontext.decode(body, Event) for body in bodies if b"cageclock/event/1" in body]


def _refused(logger: Logger) -> tuple[int, str]:
    found = [jsontext.decode(payload, Health) for payload in logger.of("health")]
    if not found or "quarantined" not in found[-1].problems:
        return 0, ""
    return found[-1].quarantined, dict(zip(found[-1].problems, found[-1].advice, strict=True))["quarantined"]


def test_a_broker_that_refuses_every_reading_for_a_while_costs_nothing(tmp_path, outbox):
    for _ in range(40):
        outbox.append_reading(make_reading())
    with Mosquitto(tmp_path / "broker") as broker:
        logger = Logger(broker.port)
        refusing = lambda packet: b"/reading" in packet[:80] or b"/thumbnail" in packet[:80]  # noqa: E731
        with (
            Refuser(broker.port, refusing) as relay,
            Publish(tmp_path, relay.port, health_interval_s=1.0) as publish,
        ):
            wait_until(lambda: _refused(logger)[0] >= 40)
            assert "reason 0x83" in _refused(logger)[1]
            assert logger.seqs() == []
            relay.refuses = lambda _packet: False
            wait_until(lambda: set(logger.seqs()) == set(range(1, 41)) and len(logger.of("thumbnail")) >= 40, 300)
            wait_until(lambda: _refused(logger)[0] == 0)
            assert publish.stop() == 0
        assert logger.of("record") == [], "no loss, and no event about each"
        logger.close()


def test_one_record_that_is_refused_again_and_again_is_reported_once_and_goes_when_it_may(tmp_path, outbox):
    outbox.append_reading(make_reading(None, detail="x" * 3000))
    outbox.append_reading(make_reading(None))
    with Mosquitto(tmp_path / "broker") as broker:
        logger = Logger(broker.port)
        refusing = lambda packet: b"x" * 3000 in packet and b"/latest" not in packet[:80]  # noqa: E731
        with (
            Refuser(broker.port, refusing) as relay,
            Publish(tmp_path, relay.port, health_interval_s=1.0) as publish,
        ):
            for times in range(1, 6):
                wait_until(lambda times=times: relay.refused >= times and 2 in logger.seqs(), 120)
                outbox.append_reading(make_reading(None))
                wait_until(lambda: outbox.last_seq in logger.seqs(), 120)
                if times < 5:  # a new connection, on which it is tried at once
                    relay.cut()
            wait_until(lambda: "record_quarantined" in {event.code for event in _events(logger)})
            assert 1 not in logger.seqs()
            relay.refuses = lambda _packet: False
            relay.cut()
            wait_until(lambda: 1 in logger.seqs(), 120)
            assert publish.stop() == 0
        refused = [event.detail["seq"] for event in _events(logger) if event.code == "record_quarantined"]
        assert refused == [1]
        assert not [payload for payload in logger.of("record") if b"lost" in payload]
        logger.close()


@pytest.mark.parametrize("limit", ["max_packet_size 20000", "message_size_limit 20000"])
def test_what_is_too_large_for_a_broker_stays_and_goes_once_the_limit_is_gone(tmp_path, outbox, limit):
    """One limit the broker tells at the start of a connection, the other it keeps to itself."""
    port = free_port()
    outbox.append_reading(make_reading(b"j" * 50_000, detail="x" * 30_000))
    outbox.append_reading(make_reading())
    with Mosquitto(tmp_path / "small", limit, port=port) as small:
        logger = Logger(port)
        with Publish(tmp_path, port, health_interval_s=1.0) as publish:
            wait_until(lambda: 2 in logger.seqs() and logger.of("thumbnail") and _refused(logger)[0] >= 1, 120)
            assert 1 not in logger.seqs()
            assert logger.of("record") == []
            small.kill()
            logger.close()
            with Mosquitto(tmp_path / "large", port=port):
                again = Logger(port)
                wait_until(lambda: 1 in again.seqs() and any(len(body) > 50_000 for body in again.of("thumbnail")), 300)
                assert again.of("record") == []
                assert publish.stop() == 0
                again.close()


def test_a_thumbnail_too_large_for_the_settings_is_named_in_health_and_goes_when_they_are_raised(tmp_path, outbox):
    outbox.append_reading(make_reading(b"j" * 50_000))
    outbox.append_reading(make_reading())
    with Mosquitto(tmp_path / "broker") as broker:
        logger = Logger(broker.port)
        with Publish(tmp_path, broker.port, max_packet_kb=20, health_interval_s=1.0) as publish:
            wait_until(lambda: set(logger.seqs()) == {1, 2} and logger.of("thumbnail") and _refused(logger)[0] == 1)
            assert "mqtt.max_packet_kb" in _refused(logger)[1]
            assert "lower thumbnail.max_kb" in publish.log()
            assert publish.stop() == 0
        with Publish(tmp_path, broker.port, max_packet_kb=200):
            wait_until(lambda: any(len(body) > 50_000 for body in logger.of("thumbnail")))
        assert logger.of("record") == []
        logger.close()
