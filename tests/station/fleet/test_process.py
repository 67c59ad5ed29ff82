"""The fleet process against a real mosquitto, with peers that speak the contract: rollouts, kills, requests, trust."""

from __future__ import annotations

import http.client
import os
import random
import time
from pathlib import Path

import pytest
import yaml

from edge.contract.bundle.freshness import read_freshness
from edge.contract.bundle.keys import new_key_pair
from edge.contract.bundle.trust import begin
from tests.harness.child import Child, python
from tests.harness.mosquitto import Mosquitto, free_port
from tests.harness.waiting import wait_until
from tests.station.fleet.lab import OLD, Keys, Peer, as_json, station

pytestmark = pytest.mark.broker
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account, by SUDO_USER")


class Lab:
    """Broker, fleet process and peers."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder, self.data, self.keys = folder, folder / "station", Keys()
        self.data.mkdir()
        self.broker = Mosquitto(folder / "broker")
        self.broker.start()
        self.files_port = free_port()
        self.online_key = folder / "online.key"
        self.online_key.write_bytes(self.keys.online[0])
        self.config = folder / "fleet.yaml"
        settings = {
            "data": str(self.data),
            "host": "127.0.0.1",
            "port": self.broker.port,
            "files": {"host": "127.0.0.1", "port": self.files_port},
            "urls": [f"http://127.0.0.1:{self.files_port}/bundles"],
            "online_key": str(self.online_key),
            "look_s": 0.2,
            "lease_s": 2.0,
        }
        self.config.write_text(yaml.safe_dump(settings))
        self.fleet = self.process("fleet")
        self.peers = {name: Peer(name, self.broker.port) for name in names}

    def process(self, name: str) -> Child:
        return Child(python("-m", "station.cli", "fleet", "--config", self.config), self.folder / f"{name}.log")

    def begin(self) -> None:
        """Start everything, and wait until each device is known."""
        self.fleet.start()
        for peer in self.peers.values():
            peer.connect()
        self.fleet.wait_for("connected to the broker")

    def known(self, count: int) -> None:
        """Wait until a dry run finds so many devices that are connected."""
        wait_until(lambda: self._connected() >= count, pause_s=0.2)

    def _connected(self) -> int:
        from station.fleet.keep.database import fleet_database
        from station.fleet.keep.devices import load_heard

        with fleet_database(self.data) as fleet:
            return sum(1 for one in load_heard(fleet).values() if one.online and one.reported is not None)

    def rollout(self, release: int = 2, rings: str = "1,100%") -> tuple[int, str]:
        """Make, approve and start a rollout; return its number and the bundle's digest."""
        file = self.folder / f"{release}.bundle"
        digest = self.keys.bundle(file, release)
        made = as_json(self.data, "rollout", "create", file, "--channel", "study", "--rings", rings, "--soak", "0s")
        number = made["rollout"]
        if made["plan"]["approvals"]:
            station(self.data, "rollout", "approve", number, who="ben")
        station(self.data, "rollout", "start", number)
        return number, digest

    def status(self, number: int) -> str:
        from station.fleet.keep.database import fleet_database
        from station.fleet.keep.rollouts import load_rollout

        with fleet_database(self.data) as fleet:
            return load_rollout(fleet, number).status

    def end(self) -> None:
        for peer in self.peers.values():
            peer.leave()
        self.fleet.kill()
        self.broker.kill()


@pytest.fixture
def lab(tmp_path: Path):
    made = Lab(tmp_path, "cage01", "cage02", "cage03")
    yield made
    made.end()


@needs_root
def test_a_rollout_goes_through_with_two_persons_and_its_story_is_whole(lab: Lab) -> None:
    """Dry run, approval by another person, rings, and the history of it all."""
    (lab.folder / "trust.json").write_bytes(lab.keys.state())
    station(lab.data, "trust", "publish", lab.folder / "trust.json")
    lab.begin()
    lab.known(3)
    file = lab.folder / "new.bundle"
    digest = lab.keys.bundle(file, 2)
    words = ("rollout", "create", file, "--channel", "study", "--rings", "1,100%", "--soak", "0s")
    text = station(lab.data, *words, "--dry-run")
    assert "ring 1 (1): 1 device " in text
    assert "nothing was written" in text
    assert as_json(lab.data, "rollout", "list") == []
    number = as_json(lab.data, *words)["rollout"]
    assert "takes 1 approvals beside anna's, got none" in station(lab.data, "rollout", "start", number, code=2)
    assert "another person must approve it" in station(lab.data, "rollout", "approve", number, code=2)
    station(lab.data, "rollout", "approve", number, who="ben")
    station(lab.data, "rollout", "start", number)
    wait_until(lambda: lab.status(number) == "done", pause_s=0.2)
    assert {peer.running for peer in lab.peers.values()} == {digest}
    shown = as_json(lab.data, "rollout", "show", number)
    assert (shown["status"], shown["counts"], shown["approved_by"]) == ("done", {"good": 3}, ["ben"])
    assert sorted(shown["signatures"].values()) == ["dora: holds", "emil: holds"]
    assert [one["who"] for one in shown["history"]][:3] == ["anna", "ben", "anna"]
    assert "made by anna, approved by ben" in station(lab.data, "rollout", "show", number)


def test_a_canary_that_goes_back_stops_the_rollout_and_nobody_else_is_asked(lab: Lab) -> None:
    for peer in lab.peers.values():
        peer.fate = "rolled_back"
    lab.begin()
    lab.known(3)
    number, digest = lab.rollout()
    wait_until(lambda: lab.status(number) == "reverted", pause_s=0.2)
    assert sum(("install", digest) in peer.asked for peer in lab.peers.values()) == 1
    shown = as_json(lab.data, "rollout", "show", number, code=1)
    assert "ring 1: 1 of 1 devices failed" in shown["reason"]
    assert "went back by itself: trial" in shown["reason"]
    from station.fleet.keep.alarms import load_alarms
    from station.fleet.keep.database import fleet_database

    with fleet_database(lab.data) as fleet:
        assert [one.kind for one in load_alarms(fleet)] == [f"rollout_{number}_reverted"]


def test_an_aborted_rollout_is_taken_back_everywhere(lab: Lab) -> None:
    lab.begin()
    lab.known(3)
    number, _ = lab.rollout()
    wait_until(lambda: lab.status(number) == "done", pause_s=0.2)
    station(lab.data, "rollout", "abort", number, "--reason", "the cages were changed")
    wait_until(lambda: lab.status(number) == "reverted", pause_s=0.2)
    assert {peer.running for peer in lab.peers.values()} == {OLD}
    assert "the cages were changed" in station(lab.data, "rollout", "show", number, code=1)
    text = station(lab.data, "rollout", "create", lab.folder / "2.bundle", "--channel", "study", code=2)
    assert "took this bundle back" in text


def test_kills_of_the_process_and_the_broker_change_nothing_in_the_end(lab: Lab) -> None:
    """Killed with -9 at random, with a broker that forgets everything: each device is asked once and ends right."""
    lab.begin()
    lab.known(3)
    number, digest = lab.rollout()
    chance = random.Random(14)
    for _ in range(8):
        time.sleep(chance.uniform(0.0, 0.4))
        if chance.random() < 0.3:
            lab.broker.kill()
            lab.broker.start()
        else:
            lab.fleet.kill()
            lab.fleet.start()
    wait_until(lambda: lab.status(number) == "done", pause_s=0.2)
    assert {peer.running for peer in lab.peers.values()} == {digest}
    assert all(peer.asked == [("install", digest)] for peer in lab.peers.values())
    shown = as_json(lab.data, "rollout", "show", number)
    good = [one["device"] for one in shown["history"] if one["text"] == "good"]
    assert sorted(good) == ["cage01", "cage02", "cage03"]


def test_one_process_works_at_a_time_and_the_next_takes_over_when_it_is_killed(lab: Lab) -> None:
    lab.begin()
    with lab.process("second") as second:
        second.wait_for("waiting: another fleet process works")
        lab.fleet.kill()
        second.wait_for("this is the fleet process now")
        second.wait_for("connected to the broker")
        lab.fleet.start()
        wait_until(lambda: lab.fleet.log().count("waiting: another fleet process works") == 1)
        assert second.stop() == 0  # gives the lease back: the other need not wait for its end
        wait_until(lambda: lab.fleet.log().count("this is the fleet process now") == 2)


def test_a_request_reaches_the_device_once_and_its_answer_comes_back(lab: Lab) -> None:
    lab.begin()
    lab.known(3)
    text = station(lab.data, "send", "cage02", "capture", "--wait", "60")
    assert "done: the reading is stored" in text
    assert lab.peers["cage02"].commands == ["command/capture"]
    assert lab.peers["cage01"].commands == []
    assert "expected capture or replay" in station(lab.data, "send", "cage02", "dance", code=2)
    text = station(
        lab.data, "send", "cage02", "replay", "--with", '{"all": true, "since": "2026-01-01T00:00:00Z"}', code=2
    )
    assert 'expected "all": true, or since and until' in text


def test_a_request_to_a_device_that_is_away_waits_for_it(lab: Lab) -> None:
    lab.begin()
    lab.known(3)
    away = lab.peers["cage03"]
    away.leave()
    wait_until(lambda: lab._connected() == 2, pause_s=0.2)
    station(lab.data, "send", "cage03", "capture", "--wait", "1", code=1)
    assert away.commands == []
    away.connect()
    wait_until(lambda: away.commands == ["command/capture"])


@needs_root
def test_a_device_that_was_off_or_is_new_gets_wish_and_trust_when_it_comes(lab: Lab) -> None:
    (lab.folder / "trust.json").write_bytes(lab.keys.state())
    lab.begin()
    lab.known(3)
    station(lab.data, "trust", "publish", lab.folder / "trust.json")
    off = lab.peers["cage03"]
    off.leave()
    number, digest = lab.rollout(rings="60%,100%")
    (lab.folder / "trust.json").write_bytes(lab.keys.state())
    station(lab.data, "trust", "publish", lab.folder / "trust.json")
    assert "cage03: " in station(lab.data, "trust", "show", code=1)
    wait_until(lambda: lab.peers["cage01"].trust == 2)
    lab.broker.kill()  # and with it everything that was retained
    lab.broker.start()
    new = lab.peers["cage04"] = Peer("cage04", lab.broker.port)
    off.connect()
    new.connect()
    wait_until(lambda: {peer.running for peer in lab.peers.values()} == {digest})
    wait_until(lambda: lab.status(number) == "done", pause_s=0.2)
    wait_until(lambda: (off.trust, new.trust) == (2, 2))
    newest = begin((lab.folder / "trust.json").read_bytes()).newest
    assert read_freshness(new.fresh, newest).trust_version == 2
    wait_until(lambda: as_json(lab.data, "trust", "show", code=None)["behind"] == [], pause_s=0.2)


def test_a_broker_that_forgot_everything_is_given_it_again(lab: Lab) -> None:
    lab.begin()
    lab.known(3)
    number, digest = lab.rollout()
    wait_until(lambda: lab.status(number) == "done", pause_s=0.2)
    lab.peers["cage02"].leave()
    lab.broker.kill()
    lab.broker.start()
    lab.fleet.wait_for("connected to the broker", times=2)
    anew = lab.peers["cage02"] = Peer("cage02", lab.broker.port)  # its card was written anew
    anew.connect()
    wait_until(lambda: anew.asked == [("install", digest)])


@needs_root
def test_a_revoked_bundle_is_taken_back_by_itself(lab: Lab) -> None:
    """A stolen key on Monday: one command with the new statement, and no device runs the bundle any more."""
    path = lab.folder / "trust.json"
    path.write_bytes(lab.keys.state())
    station(lab.data, "trust", "publish", path)
    lab.begin()
    lab.known(3)
    number, digest = lab.rollout()
    wait_until(lambda: lab.status(number) == "done", pause_s=0.2)
    path.write_bytes(lab.keys.state(revoked_bundles=(digest,)))
    station(lab.data, "trust", "publish", path)
    wait_until(lambda: lab.status(number) == "reverted", pause_s=0.2)
    assert {peer.running for peer in lab.peers.values()} == {OLD}
    assert "trust statement 2 revokes the bundle" in station(lab.data, "rollout", "show", number, code=1)
    file = lab.folder / "2.bundle"
    assert "revokes this bundle" in station(lab.data, "rollout", "create", file, "--channel", "study", code=3)


def test_forty_devices_get_new_keys_by_one_command(tmp_path: Path) -> None:
    """Emil's key is stolen: the statement that names Gina in his place reaches all, the absent ones later."""
    lab = Lab(tmp_path, *(f"cage{number:02}" for number in range(1, 41)))
    try:
        path = tmp_path / "trust.json"
        path.write_bytes(lab.keys.state())
        station(lab.data, "trust", "publish", path)
        lab.begin()
        wait_until(lambda: {peer.trust for peer in lab.peers.values()} == {1})
        away = [lab.peers[f"cage{number:02}"] for number in (3, 17, 40)]
        for peer in away:
            peer.leave()
        gina = new_key_pair()
        roles = lab.keys.releasing(("dora", lab.keys.dora), ("gina", gina))
        stolen = lab.keys.key("emil", lab.keys.emil).id
        path.write_bytes(lab.keys.state(channels={"study": roles}, revoked_keys=(stolen,)))
        station(lab.data, "trust", "publish", path)
        begun_s = time.monotonic()
        wait_until(lambda: sum(peer.trust == 2 for peer in lab.peers.values()) == 37)
        assert time.monotonic() - begun_s < 60.0
        behind = as_json(lab.data, "trust", "show", code=1)["behind"]
        assert set(behind) >= {peer.name for peer in away}
        for peer in away:
            peer.connect()
        wait_until(lambda: {peer.trust for peer in lab.peers.values()} == {2})
        lab.keys.bundle(tmp_path / "stolen.bundle", 9)
        words = ("rollout", "create", tmp_path / "stolen.bundle", "--channel", "study")
        assert "revoked key: " in station(lab.data, *words, code=3)
        other = Keys()
        path.write_bytes(other.state())
        assert "trust statement" in station(lab.data, "trust", "publish", path, code=3), "another lab's roots"
    finally:
        lab.end()


def test_a_bundle_that_the_channel_does_not_take_never_becomes_a_rollout(lab: Lab) -> None:
    (lab.folder / "trust.json").write_bytes(lab.keys.state())
    station(lab.data, "trust", "publish", lab.folder / "trust.json")
    file = lab.folder / "one.bundle"
    lab.keys.bundle(file, 2, signers=1)
    text = station(lab.data, "rollout", "create", file, "--channel", "study", code=3)
    assert "threshold: channel 'study' takes 2 of its keys, got dora" in text
    assert as_json(lab.data, "rollout", "list") == []
    assert "bundles" not in [path.name for path in lab.data.iterdir()]


def test_the_bundle_is_served_whole_in_parts_and_nothing_else_is(lab: Lab) -> None:
    lab.begin()
    lab.known(3)
    _, digest = lab.rollout()
    whole = (lab.folder / "2.bundle").read_bytes()

    def get(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", lab.files_port, timeout=60)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    path = f"/bundles/{digest}.bundle"
    assert get(path)[::2] == (200, whole)
    assert get(path, Range="bytes=100-199")[::2] == (206, whole[100:200])
    status, headers, body = get(path, Range=f"bytes={len(whole) - 7}-")
    assert (status, headers["Content-Range"], body) == (
        206,
        f"bytes {len(whole) - 7}-{len(whole) - 1}/{len(whole)}",
        whole[-7:],
    )
    assert get(path, Range="bytes=-5")[::2] == (206, whole[-5:])
    assert get(path, Range=f"bytes={len(whole)}-")[0] == 416
    assert get(path, Range="bytes=5-", If_Range='"another"')[::2] == (200, whole)
    assert get(path, "HEAD")[2] == b""
    for wrong in (
        "/",
        "/bundles/",
        "/bundles/../fleet.db",
        f"/bundles/{'0' * 64}.bundle",
        "/bundles/%2e%2e/fleet.db",
        f"{path}?x",
    ):
        assert get(wrong)[0] == 404, wrong
    assert get(path, "POST")[0] == 501
