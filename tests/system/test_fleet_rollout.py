"""A model for three real devices: fetched, tried in capture and reported; and taken back where the canary goes back."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from edge.bundle.slots import ACTIVE, Slots
from edge.cli import main
from station.fleet.simulate import LOOK_S, Device, Simulated, make_devices
from tests.harness.child import Child, python
from tests.harness.mosquitto import Mosquitto, free_port
from tests.harness.waiting import wait_until
from tests.station.fleet.lab import Keys, as_json, station

pytestmark = [pytest.mark.broker, pytest.mark.slow]


class Hands(threading.Thread):
    """Looks into the devices' inboxes, as their path units do, until it is asked to stop."""

    def __init__(self, devices: list[Device]) -> None:
        super().__init__(name="inboxes")
        self.devices, self.asked = devices, threading.Event()

    def run(self) -> None:
        while not self.asked.wait(LOOK_S):
            for device in self.devices:
                device.install_waiting()


def bundle(device: Device, *words: object) -> int:
    """Run `cageclock bundle` on a device and return its exit code."""
    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        return main(["bundle", *map(str, words), "--config", str(device.config)])


class System:
    """Broker, logger, fleet process and devices that run release 1."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("cage01", "cage02", "cage03")) -> None:
        self.folder, self.data, self.keys = folder, folder / "station", Keys()
        self.data.mkdir()
        self.broker = Mosquitto(folder / "broker")
        (folder / "trust.json").write_bytes(self.keys.state())
        (folder / "online.key").write_bytes(self.keys.online[0])
        files = free_port()
        settings = {
            "data": str(self.data),
            "host": "127.0.0.1",
            "port": self.broker.port,
            "files": {"host": "127.0.0.1", "port": files},
            "urls": [f"http://127.0.0.1:{files}/bundles"],
            "online_key": str(folder / "online.key"),
            "look_s": 0.5,
        }
        (folder / "fleet.yaml").write_text(yaml.safe_dump(settings))
        run = [
            "run",
            "--name",
            "lab1",
            "--data",
            str(self.data),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.broker.port),
        ]
        self.parts = {
            "fleet": Child(
                python("-m", "station.cli", "fleet", "--config", folder / "fleet.yaml"), folder / "fleet.log"
            ),
            "logger": Child(python("-m", "station.cli", *run), folder / "logger.log"),
        }
        self.first = self.keys.bundle(folder / "1.bundle", 1)
        trust = folder / "trust.json"
        common = Simulated(
            folder, "127.0.0.1", self.broker.port, "lab1", trust, "study", ("test",), 3.0, light_hours=23.9
        )
        self.devices = {device.name: device for device in make_devices(names, common)}
        self.hands = Hands(list(self.devices.values()))

    def start(self) -> None:
        self.broker.start()
        for part in self.parts.values():
            part.start()
        station(self.data, "trust", "publish", self.folder / "trust.json")
        for device in self.devices.values():
            device.keep_running()
        self.hands.start()
        for device in self.devices.values():
            # Refused until the fleet process's fresh word has come: the statement names an online key.
            wait_until(
                lambda one=device: bundle(one, "install", self.folder / "1.bundle") == 0, pause_s=1.0, limit_s=300
            )

    def end(self) -> None:
        if self.hands.is_alive():
            self.hands.asked.set()
            self.hands.join()
        for device in self.devices.values():
            device.stop_all()
        for part in self.parts.values():
            part.kill()
        self.broker.kill()

    def running(self) -> dict[str, tuple[str, str]]:
        """Return digest and state of what each device says that it runs."""
        from station.fleet.keep.database import fleet_database
        from station.fleet.keep.devices import load_heard

        with fleet_database(self.data) as fleet:
            said = {name: one.reported for name, one in load_heard(fleet).items()}
        return {
            name: (one.running.digest, one.running.state)
            for name, one in said.items()
            if one is not None and one.running is not None
        }

    def rollout(self, release: int) -> tuple[dict, str]:
        file = self.folder / f"{release}.bundle"
        digest = self.keys.bundle(file, release)
        made = as_json(self.data, "rollout", "create", file, "--channel", "study", "--rings", "1,100%", "--soak", "0s")
        station(self.data, "rollout", "approve", made["rollout"], who="ben")
        station(self.data, "rollout", "start", made["rollout"])
        return made, digest

    def status(self, number: int) -> str:
        return as_json(self.data, "rollout", "show", number, code=None)["status"]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.end()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account, by SUDO_USER")
def test_a_model_goes_through_the_fleet_and_the_next_one_is_taken_back(system: System) -> None:
    """Release 2 reaches three real devices; release 3 is rolled back on its canary, and nobody else is asked."""
    good = dict.fromkeys(system.devices, (system.first, "good"))
    wait_until(lambda: system.running() == good, pause_s=0.5, limit_s=300)
    made, second = system.rollout(2)
    wait_until(lambda: system.status(made["rollout"]) == "done", pause_s=0.5, limit_s=300)
    assert system.running() == dict.fromkeys(system.devices, (second, "good"))

    file = system.folder / "3.bundle"
    system.keys.bundle(file, 3)
    words = ("rollout", "create", file, "--channel", "study", "--rings", "1,100%", "--dry-run")
    (canary,) = as_json(system.data, *words)["rings"][0]["devices"]
    system.devices[canary].stop("capture")  # so that its trial does not end
    made, third = system.rollout(3)
    device = system.devices[canary]
    wait_until(lambda: third[:16] in str(Slots(device.state).target(ACTIVE)), pause_s=0.5, limit_s=300)
    assert bundle(device, "rollback") == 0
    device.keep_running()
    wait_until(lambda: system.status(made["rollout"]) == "reverted", pause_s=0.5, limit_s=300)
    wait_until(lambda: {one[0] for one in system.running().values()} == {second}, pause_s=0.5, limit_s=300)
    shown = as_json(system.data, "rollout", "show", made["rollout"], code=1)
    assert shown["counts"] == {"failed": 1, "waiting": 2}
    assert f"{canary} went back by itself" in shown["reason"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account, by SUDO_USER")
def test_a_candidate_runs_in_the_shadow_and_is_promoted_by_equivalence(system: System) -> None:
    """The same networks under another release: no difference on any frame, which the pairs of the animals show."""
    good = dict.fromkeys(system.devices, (system.first, "good"))
    wait_until(lambda: system.running() == good, pause_s=0.5, limit_s=300)
    file = system.folder / "2.bundle"
    digest = system.keys.bundle(file, 2)
    words = ("rollout", "create", file, "--channel", "study", "--rings", "100%", "--soak", "0s")
    made = as_json(system.data, *words, "--shadow", "10s", "--margin", "20", "--animals", "2")["rollout"]
    station(system.data, "rollout", "approve", made, who="ben")
    station(system.data, "rollout", "start", made)

    def over() -> bool:
        status = system.status(made)
        if status == "paused":  # not decided yet on a busy machine: a person lets it go on
            station(system.data, "rollout", "resume", made)
        return status in ("done", "reverted")

    wait_until(over, pause_s=1.0, limit_s=400)
    shown = as_json(system.data, "rollout", "show", made, code=None)
    assert shown["status"] == "done", station(system.data, "rollout", "show", made, code=None)
    assert shown["shadow"]["all"]["animals"] >= 2
    assert shown["shadow"]["all"]["high_days"] == pytest.approx(0.0)
    assert system.running() == dict.fromkeys(system.devices, (digest, "good"))
