"""A card says that records are lost which a copy of it still holds: the copy sends them, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.contract.record import Lost
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.station.running import Device
from tests.station.samples import arrival
from tests.system.cage import DEVICE, Cage

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def test_what_another_copy_of_the_card_lost_is_sent_by_the_one_that_holds_it(tmp_path: Path, broker: Mosquitto) -> None:
    cage = Cage(tmp_path / "lab", broker.port, thumbnail={"width": 64})
    assert cage.capture(3)[0] == 0
    [(epoch, last)] = cage.epochs()
    gone = Lost(
        device_id=DEVICE,
        recorded_at=datetime.now(UTC),
        boot_id="boot-9",
        monotonic_s=1.0,
        clock_synced=True,
        what="record",
        of_epoch=epoch,
        first_seq=1,
        last_seq=last + 5,
        reason="the card was damaged",
    )
    with cage.station() as station, Device(broker.port, DEVICE) as copy:
        station.wait_for("connected to")
        copy.send(arrival(gone, 1, epoch="e" * 32, device=DEVICE))
        wait_until(lambda: losses(cage.data) == [(1, last + 5)])
        with cage.publish():
            cage.arrives()
            wait_until(lambda: cage.pictures() <= cage.stored_pictures())
            wait_until(lambda: cage.released() == cage.epochs())
        assert losses(cage.data) == [(last + 1, last + 5)]


def losses(data: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return connection.execute("SELECT first_seq, last_seq FROM losses WHERE what = 'record'").fetchall()
