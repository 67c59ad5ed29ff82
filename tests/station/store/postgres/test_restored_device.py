"""A real device fills the hole of a restored log out of its ring, also in another database than before."""

from pathlib import Path

import pytest

from edge.config import tree
from edge.outbox.outbox import Outbox
from station import cli
from tests.edge.outbox.conftest import make_reading
from tests.edge.publish.lab import DEVICE, Publish
from tests.harness.mosquitto import Mosquitto
from tests.harness.postgres import Postgres
from tests.harness.waiting import wait_until
from tests.station.running import NAME, StationProcess
from tests.station.store.postgres.lab import Lab

pytestmark = pytest.mark.broker


def stored(lab: Lab) -> int:
    return int(lab.query("SELECT count(*) FROM main.readings WHERE device = ?", (DEVICE,))[0][0])


def test_the_ring_of_a_device_fills_the_hole_behind_a_backup(server: Postgres, tmp_path: Path) -> None:
    """A backup, two more readings, then the log is gone: the restored one holds everything again."""
    url = server.new_database()
    first = Lab(tmp_path / "first", url)
    state = tmp_path / "device" / "state"
    state.mkdir(parents=True)
    outbox = Outbox.open(state, tree.Outbox(reserve_mb=0, min_free_mb=0), device_id=DEVICE, serial="s")
    try:
        with Mosquitto(tmp_path / "broker") as broker, Publish(tmp_path / "device", broker.port, station=NAME):
            with StationProcess(first.data, broker.port):
                outbox.append_reading(make_reading(None))
                wait_until(lambda: (first.data / "database.yaml").exists() and stored_or_none(first) == 1)
                backup = str(tmp_path / "backup")
                assert cli.main(["backup", "--data", str(first.data), "--out", backup]) == 0
                outbox.append_reading(make_reading(None))
                outbox.append_reading(make_reading(None))
                wait_until(lambda: stored(first) == 3)
            second = Lab(tmp_path / "second", None)
            options = ["--database", server.new_database(), "--database-durability", "relaxed"]
            assert cli.main(["restore", backup, "--data", str(second.data), *options]) == 0
            assert stored(second) == 1
            with StationProcess(second.data, broker.port):
                wait_until(lambda: stored(second) == 3)
            assert second.query("SELECT count(*) FROM losses") == [(0,)]
    finally:
        outbox.close()


def stored_or_none(lab: Lab) -> int | None:
    """Return how many readings there are, None before the station has made the log."""
    try:
        return stored(lab)
    except Exception:  # noqa: BLE001 - the tables are being made
        return None
