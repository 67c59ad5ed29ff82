"""A network that swallows large packets (a path with a small MTU does) must not look like a poisonous record."""

from __future__ import annotations

import socket
import threading

import pytest

from edge.config import tree
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from tests.edge.outbox.conftest import make_reading
from tests.edge.publish import lab
from tests.harness.mosquitto import Mosquitto
from tests.harness.relay import Relay, end
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(2400)]
SWALLOWED_WITHIN_S = 900.0
"""Six connections, each given up after the keep-alive of 5 s and a pause: a minute or so on an idle machine."""


class Narrow(Relay):
    """A relay to a broker. While `narrow`, a connection that has carried too much upwards carries nothing more.

    ends_after_s: so long after that the connection is closed, as a broker does that hears nothing (None: the real one's
        affair, and that differs between versions of mosquitto).
    """

    def __init__(self, port: int, limit_bytes: int, ends_after_s: float | None = None) -> None:
        self._limit_bytes, self._ends_after_s = limit_bytes, ends_after_s
        self.narrow = True
        self.swallowed = 0
        super().__init__(port)

    def pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        blocked = False
        while data := source.recv(65536):
            if upward and self.narrow and not blocked and len(data) > self._limit_bytes:
                blocked = True
                self.swallowed += 1
                if self._ends_after_s is not None:
                    threading.Timer(self._ends_after_s, end, [sink]).start()
            if not blocked:
                sink.sendall(data)


def test_a_record_that_a_bad_network_swallows_is_kept_and_arrives_when_it_is_better(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    outbox = Outbox.open(state, tree.Outbox(reserve_mb=0, min_free_mb=0), device_id=lab.DEVICE, serial="s")
    outbox.append_reading(make_reading(None, detail="x" * 20_000))
    outbox.close()
    with Mosquitto(tmp_path / "broker") as broker:
        logger, relay = lab.Logger(broker.port), Narrow(broker.port, 4_000)
        with lab.Publish(tmp_path, relay.port, keepalive_s=5) as publish:
            wait_until(lambda: relay.swallowed >= 6, SWALLOWED_WITHIN_S)
            relay.narrow = False
            wait_until(lambda: set(logger.seqs()) == {1})
            assert publish.stop() == 0
        delivery = PublishFile.open(state, device_id=lab.DEVICE)
        assert delivery.suspects() == {}
        delivery.close()
        relay.close()
        logger.close()


def test_a_broker_that_ends_the_connection_because_it_hears_nothing_says_nothing_against_a_record(tmp_path):
    """Its keep-alive runs out before the device's own: newer mosquittos are exact about it, older ones were late."""
    state = tmp_path / "state"
    state.mkdir()
    outbox = Outbox.open(state, tree.Outbox(reserve_mb=0, min_free_mb=0), device_id=lab.DEVICE, serial="s")
    outbox.append_reading(make_reading(None, detail="x" * 20_000))
    outbox.close()
    with Mosquitto(tmp_path / "broker") as broker:
        logger, relay = lab.Logger(broker.port), Narrow(broker.port, 4_000, ends_after_s=3.0)
        with lab.Publish(tmp_path, relay.port, keepalive_s=5) as publish:
            wait_until(lambda: relay.swallowed >= 6, SWALLOWED_WITHIN_S)
            assert "stays on the device" not in publish.log()
            assert "another client" not in publish.log()
            assert publish.stop() == 0
        delivery = PublishFile.open(state, device_id=lab.DEVICE)
        assert delivery.suspects() == {}
        delivery.close()
        relay.close()
        logger.close()
