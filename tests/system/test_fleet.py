"""A backlog, several stations on one broker, and a broker that misbehaves: what delivery promises under load."""

import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.contract import jsontext
from edge.contract.committed import Committed, CommittedEpoch
from tests.campaigns.backlog import LATE, FleetRig, catch_up, released, replay_to_a_late_station, settle
from tests.campaigns.campaign import Line
from tests.campaigns.synthetic import DEVICE
from tests.harness.waiting import wait_until
from tests.system.rig import STATION

pytestmark = pytest.mark.broker


@pytest.fixture
def rig(tmp_path: Path):
    made = FleetRig(tmp_path, seed=7)
    yield made
    made.end()


def test_a_backlog_is_caught_up_fast_while_live_readings_pass(rig: FleetRig) -> None:
    line = Line("catch up", 7, "readings")
    assert catch_up(rig, 1_200, line) == [], line.text()
    assert line.notes["catching up: live readings"] >= 5


def test_a_late_station_that_stalls_gets_all_that_is_held_by_a_replay_for_it(rig: FleetRig) -> None:
    line = Line("replay", 7, "readings")
    # More than the 1,000 messages that mosquitto keeps for a subscriber: on the broker's word alone some would be lost.
    assert catch_up(rig, 2_000, line) == []
    assert replay_to_a_late_station(rig, 2_000, line, stalled=[rig.late], stall_s=3.0) == [], line.text()
    assert settle(rig) == []


def test_only_the_named_stations_watermark_releases(rig: FleetRig) -> None:
    """Another real station stores everything while the named one is away: nothing is released, and nothing blocked."""
    for _ in range(150):
        rig.append()
    rig.broker.start()
    rig.late.start()
    wait_until(lambda: "connected to" in rig.late.log())
    rig.parts["publish"].start()
    wait_until(lambda: len(rig.stored(rig.late_data)) >= 100)
    time.sleep(6.0)  # longer than publish takes to write down a watermark
    assert released(rig) == 0
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", rig.broker.port)
    client.loop_start()
    low = CommittedEpoch(epoch=rig.outbox.epoch, through=1, thumbnails_through=1)
    for station, through in (("lab3", 10**6), ("lab4", 1)):
        each = CommittedEpoch(epoch=low.epoch, through=through, thumbnails_through=through)
        payload = jsontext.encode(Committed(station_db=f"of {station}", epochs=(each,)))
        client.publish(f"cageclock/v1/{DEVICE}/committed/{station}", payload, 1, True).wait_for_publish(5)
    rig.parts["station"].start()
    wait_until(lambda: len(rig.stored(rig.data)) == 150)
    wait_until(lambda: released(rig) == 150)
    newest = rig.append()
    wait_until(lambda: released(rig) == newest)
    client.disconnect()
    client.loop_stop()
    assert settle(rig) == []
    assert STATION != LATE
