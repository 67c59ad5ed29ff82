"""A broker, an outbox and a logger for the publishing process."""

from __future__ import annotations

import pytest

from edge.config import tree
from edge.outbox import Outbox
from tests.edge.publish import lab
from tests.edge.publish.lab import Logger
from tests.harness.mosquitto import Mosquitto


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def outbox(tmp_path):
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    opened = Outbox.open(state, tree.Outbox(reserve_mb=0, min_free_mb=0), device_id=lab.DEVICE, serial="s")
    yield opened
    opened.close()


@pytest.fixture
def logger(broker):
    running = Logger(broker.port)
    yield running
    running.close()
