"""The running station commits before it acknowledges, promises what it committed, and outlives its broker."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from station.store.message import Arrival
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.station import samples
from tests.station.running import Device, StationProcess
from tests.station.samples import EPOCH, arrival, picture_arrival

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    found = Mosquitto(tmp_path / "broker", "allow_anonymous true\n")
    found.start()
    yield found
    found.kill()


def rows(data: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_what_a_device_sends_is_stored_and_promised(tmp_path: Path, broker: Mosquitto, version: str) -> None:
    data = tmp_path / "data"
    jpeg = samples.picture(2)
    with StationProcess(data, broker.port, "--mqtt-version", version) as station:
        with Device(broker.port, five=version == "5") as device:
            wait_until(lambda: station.listens())
            device.send(arrival(samples.event(1), 1), arrival(samples.reading(2, thumbnail=jpeg), 2))
            device.send(picture_arrival(jpeg, properties=(("epoch", EPOCH), ("seq", "2"))))
            wait_until(lambda: device.promises and device.promises[-1].epochs[0].thumbnails_through == 2)
            assert device.through() == 2
            assert rows(data, "SELECT seq FROM records ORDER BY seq") == [(1,), (2,)]
            assert station.stop() == 0
            wait_until(lambda: device.availability[-1] == "offline")


def test_a_killed_station_is_said_to_be_offline_and_repeats_its_promise_when_it_is_back(
    tmp_path: Path, broker: Mosquitto
) -> None:
    with StationProcess(tmp_path / "data", broker.port) as station, Device(broker.port) as device:
        wait_until(lambda: station.listens())
        device.send(*(arrival(samples.event(seq), seq) for seq in range(1, 51)))
        wait_until(lambda: device.through() == 50)
        station.kill()
        wait_until(lambda: device.availability[-1] == "offline")
        device.promises.clear()
        station.start()
        wait_until(lambda: device.through() == 50)


def test_it_says_online_only_once_the_broker_has_granted_its_subscriptions(tmp_path: Path, broker: Mosquitto) -> None:
    """What a device sends between the two would reach nobody, though it was said that somebody listens."""
    with StationProcess(tmp_path / "data", broker.port) as station, Device(broker.port) as device:
        for _ in range(2):
            wait_until(lambda: device.availability and device.availability[-1] == "online")
            log = broker.log()
            granted = log.rindex("Sending SUBACK to cageclock-station-lab1")
            assert log.rindex("Received PUBLISH from cageclock-station-lab1") > granted
            assert log.count("Received PUBLISH from cageclock-station-lab1") == 1
            station.kill()
            wait_until(lambda: device.availability[-1] == "offline")
            (broker.folder / "mosquitto.log").write_text("")
            station.start()


def test_a_restarted_broker_is_found_again_and_hears_every_promise(tmp_path: Path, broker: Mosquitto) -> None:
    data = tmp_path / "data"
    with StationProcess(data, broker.port) as station:
        with Device(broker.port) as device:
            wait_until(lambda: station.listens())
            device.send(arrival(samples.event(1), 1))
            wait_until(lambda: device.through() == 1)
        broker.kill()
        broker.start()
        with Device(broker.port) as device:
            wait_until(lambda: device.through() == 1)
            device.send(arrival(samples.event(2), 2))
            wait_until(lambda: device.through() == 2)


def test_a_device_that_shows_itself_hears_the_promise_of_a_new_database(tmp_path: Path, broker: Mosquitto) -> None:
    with StationProcess(tmp_path / "data", broker.port) as station, Device(broker.port) as device:
        wait_until(lambda: station.listens())
        device.publish("cageclock/v1/cage-1/availability", b"online", retain=True)
        wait_until(lambda: device.promises)
        assert device.promises[-1].epochs == ()


def test_poison_does_not_hold_up_what_is_behind_it(tmp_path: Path, broker: Mosquitto) -> None:
    data = tmp_path / "data"
    with StationProcess(data, broker.port) as station, Device(broker.port) as device:
        wait_until(lambda: station.listens())
        for number in range(200):
            device.send(Arrival("cage-1", "reading", b"poison %d" % number, 0.0))
        device.send(arrival(samples.reading(1), 1), retain=True)
        device.publish("cageclock/v1/Bad Name/reading", b"x")
        device.publish("cageclock/v1/cage-1/reading", b"", retain=True)
        device.send(arrival(samples.event(2), 2))
        wait_until(lambda: device.through() == 2)
        assert rows(data, "SELECT count(*) FROM quarantine") == [(200,)]
        assert station.stop() == 0


def test_a_retained_picture_with_a_number_of_49_digits_ends_no_station(tmp_path: Path, broker: Mosquitto) -> None:
    """It is met again at every start, and by the access list only its camera may clear it."""
    data = tmp_path / "data"
    huge = (("epoch", EPOCH), ("seq", "1" + "0" * 48))
    with StationProcess(data, broker.port) as station, Device(broker.port) as device:
        device.send(picture_arrival(samples.picture(1), properties=huge), retain=True)
        device.send(arrival(samples.lost(1, 2**53 - 1, of_epoch="f" * 32), 3), retain=True)
        for start in range(2):
            wait_until(lambda: station.listens())
            device.send(arrival(samples.event(start + 1), start + 1))
            wait_until(lambda seq=start + 1: rows(data, f"SELECT seq FROM records WHERE seq = {seq}"))
            wait_until(lambda: rows(data, "SELECT seq FROM quarantine WHERE stream = 'thumbnail'"))
            assert station.stop() == 0
            if start == 0:
                (data.with_name("data.log")).unlink()
                station.start()
        assert "Traceback" not in station.log()


def test_a_second_station_with_the_same_folder_ends_with_one_clear_line(tmp_path: Path, broker: Mosquitto) -> None:
    with StationProcess(tmp_path / "data", broker.port) as first:
        wait_until(lambda: first.listens())
        with StationProcess(tmp_path / "data", broker.port) as second:
            assert second.ended() == 2
        assert "another cageclock-station run uses this folder" in first.log()


def test_an_absent_broker_is_one_line_and_waited_for(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker", "allow_anonymous true\n")
    with StationProcess(tmp_path / "data", broker.port) as station:
        wait_until(lambda: "nobody listens there" in station.log())
        broker.start()
        try:
            wait_until(lambda: "connected to" in station.log())
        finally:
            broker.kill()
        assert station.log().count("nobody listens there") == 1


def test_a_wrong_password_is_named_without_telling_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "passwords").write_text("")
    broker = Mosquitto(
        tmp_path / "broker", f"allow_anonymous false\npassword_file {tmp_path / 'broker' / 'passwords'}\n"
    )
    broker.start()
    try:
        login = ("--username", "lab", "--password-file", str(tmp_path / "secret"))
        with StationProcess(tmp_path / "data", broker.port, *login) as station:
            wait_until(lambda: "refuses user lab" in station.log())
            assert "password_file" in station.log()
            assert "hunter2" not in station.log()
    finally:
        broker.kill()


def test_a_denied_promise_is_named_with_what_to_allow(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    access = tmp_path / "broker" / "access"
    access.write_text("topic read cageclock/v1/#\ntopic write cageclock/v1/+/record\n")
    access.chmod(0o644)
    broker = Mosquitto(tmp_path / "broker", f"allow_anonymous true\nacl_file {access}\n")
    broker.start()
    try:
        with StationProcess(tmp_path / "data", broker.port) as station:
            wait_until(lambda: "the devices release nothing" in station.log())
            assert "cageclock/v1/+/committed/lab1" in station.log()
            wait_until(lambda: station.listens())
            with Device(broker.port) as device:
                device.send(arrival(samples.event(1), 1))
                wait_until(lambda: rows(tmp_path / "data", "SELECT seq FROM records") == [(1,)])
    finally:
        broker.kill()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (("--port", "70000"), "of at most 65535"),
        (("--password-file", "nowhere"), "username: expected the user whose password"),
        (("--username", "lab", "--password-file", "nowhere"), "password_file: nowhere cannot be read"),
        (("--name", "Lab One"), "expected a name"),
        (("--config", "nowhere.yaml"), "nowhere.yaml: no such settings file"),
        (("--ca-file", "nowhere.pem"), "tls.ca_file: nowhere.pem: No such file"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(tmp_path: Path, more: tuple[str, ...], why: str) -> None:
    with StationProcess(tmp_path / "data", 1, *more) as station:
        assert station.ended() == 2
        assert why in station.log()
        assert "Traceback" not in station.log()
