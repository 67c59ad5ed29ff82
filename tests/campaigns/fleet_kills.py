"""Rollouts over real devices while anything is killed at random: each ends where its rollout says, no reading is lost.

    CAGECLOCK_FLEET_DEVICES=12 CAGECLOCK_FLEET_KILLS=100000 python -m tests.campaigns.fleet_kills --seed S --budget N

Each device runs its own `capture`, `publish` and `fetch`, and installs in a process of its own; broker, logger and
fleet process are real too, and a supervisor starts again whatever ended. kill -9 hits any of them, installers as well,
until the rollout is over. Then: what each device runs is what the rollout says of it, every record that a device
appended is at the station once, and its readings name the bundles of its life, one after the other.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from station.fleet.simulate import LOOK_S, Device
from tests.campaigns.campaign import Fault, Line, main
from tests.harness.waiting import wait_until
from tests.station.fleet.lab import as_json
from tests.system.test_fleet_rollout import System

DEVICES = int(os.environ.get("CAGECLOCK_FLEET_DEVICES", "3"))
KILLS = int(os.environ.get("CAGECLOCK_FLEET_KILLS", "16"))
"""At most so many in one rollout; a full run kills until it is over, which takes minutes."""
LONGEST_PAUSE_S = 2.0
LIMIT_S = float(os.environ.get("CAGECLOCK_FLEET_LIMIT_S", "1800"))


class Supervisor(threading.Thread):
    """Starts again whatever ended, as systemd does, and looks into the inboxes, as the path units do."""

    def __init__(self, system: System) -> None:
        super().__init__(name="supervisor")
        self.system, self.asked = system, threading.Event()
        self.lock = threading.Lock()
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.asked.wait(LOOK_S):
                with self.lock:
                    for device in self.system.devices.values():
                        device.keep_running()
                        device.install_waiting()
                    for part in (*self.system.parts.values(), self.system.broker.child):
                        if part.exit_code() is not None:
                            part.start()
        except BaseException as error:
            self.failed = error  # a port that is taken, a full disk: said by the campaign, not by a thread
            raise

    def end(self) -> None:
        self.asked.set()
        self.join()


def kill_something(system: System, chance: random.Random) -> str:
    """Kill one process of a part chosen by chance and return which; "" where that part does not run just now."""
    kind = chance.choice(["capture", "publish", "publish", "fetch", "inbox", "inbox", "fleet", "logger", "broker"])
    if kind in ("fleet", "logger"):
        child = system.parts[kind]
        if child.exit_code() is None:
            os.kill(child.pid, 9)
            return kind
    elif kind == "broker":
        system.broker.child.kill()
        return kind
    else:
        running = chance.choice(list(system.devices.values())).running.get(kind)
        if running is not None and running.poll() is None:
            running.kill()
            return kind
    return ""


def misplaced(system: System, number: int, old: str, new: str) -> list[str]:
    """Return in words which devices run something else than the rollout says of them."""
    shown = as_json(system.data, "rollout", "show", number, code=None)
    running = system.running()
    found = []
    for one in shown["devices"]:
        wanted = new if one["phase"] == "good" else old
        if running.get(one["device"]) != (wanted, "good"):
            found.append(f"{one['device']} is {one['phase']} and runs {running.get(one['device'])}: {one['reason']}")
    return found


def appended(device: Device) -> set[tuple[str, str, int]]:
    """Return (device, epoch, seq) of every record that a device holds."""
    found: set[tuple[str, str, int]] = set()
    for name in ("outbox.db", "delivery.db"):
        with closing(sqlite3.connect(device.state / name, timeout=30)) as connection:
            rows = connection.execute("SELECT epoch, seq FROM records").fetchall()
        found |= {(device.name, epoch, seq) for epoch, seq in rows}
    return found


def stored(system: System) -> set[tuple[str, str, int]]:
    """Return the same of every record at the station."""
    with closing(sqlite3.connect(system.data / "station.db", timeout=30)) as connection:
        return set(connection.execute("SELECT device, epoch, seq FROM records"))


def wrong_names(system: System, bundles: list[str]) -> list[str]:
    """Return the readings that name no bundle of the device's life, or an earlier one after a later one.

    bundles: in the order in which the lab gave them out. A device that went back may name them in turn; it says so.
    """
    found = []
    for name, device in system.devices.items():
        rows: list[tuple[str | None, str]] = []
        with closing(sqlite3.connect(system.data / "station.db", timeout=30)) as connection:
            rows = connection.execute(
                "SELECT model_sha256, outcome FROM readings WHERE device = ? ORDER BY captured_s", (name,)
            ).fetchall()
        named = [sha256 for sha256, _ in rows if sha256 is not None]
        strange = sorted(set(named) - set(bundles))
        if strange:
            found.append(f"{name}: readings name {strange}")
        places = [bundles.index(sha256) for sha256 in named if sha256 in bundles]
        if places != sorted(places) and "rolled back" not in history_of(device):
            found.append(f"{name}: its readings go from one bundle to another and back: {places}")
    return found


def history_of(device: Device) -> str:
    path = device.state / "bundles" / "history.json"
    return path.read_text() if path.exists() else ""


def one_rollout(seed: int, line: Line) -> None:
    """Bring a bundle to the devices under kills, and judge.

    Raises:
        Fault: a device is not where the rollout says, a record is missing, or a reading names another model.
    """
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="fleet-kills-"))
    system = System(folder, tuple(f"cage{number:02}" for number in range(1, DEVICES + 1)))
    supervisor = Supervisor(system)
    try:
        system.start()
        system.hands.asked.set()
        system.hands.join()
        supervisor.start()
        good = dict.fromkeys(system.devices, (system.first, "good"))
        wait_until(lambda: system.running() == good, pause_s=0.5, limit_s=LIMIT_S)
        made, second = system.rollout(2)
        number, began, killed = made["rollout"], time.monotonic(), 0
        while system.status(number) not in ("done", "reverted"):
            if time.monotonic() - began > LIMIT_S:
                raise Fault(seed, f"not over after {LIMIT_S:g} s; kept for a look: {folder}")
            with supervisor.lock:  # what is being started is not killed in between: its number is not known yet
                what = kill_something(system, chance) if killed < KILLS else ""
            if what:
                killed += 1
                line.count(f"{what} kills")
            supervisor.asked.wait(chance.uniform(0.05, LONGEST_PAUSE_S))
        line.count("until its end, s", round(time.monotonic() - began))
        line.count(system.status(number))
        wait_until(lambda: not misplaced(system, number, system.first, second), pause_s=1.0, limit_s=LIMIT_S)
        supervisor.end()
        for device in system.devices.values():
            device.stop("capture")  # so that what is appended has an end
        want = set().union(*(appended(device) for device in system.devices.values()))
        wait_until(lambda: want <= stored(system), pause_s=0.5, limit_s=LIMIT_S)
        wrong = wrong_names(system, [system.first, second])
        if wrong:
            raise Fault(seed, f"{'; '.join(wrong)}; kept for a look: {folder}")
        line.count("records", len(want))
        line.count("devices", len(system.devices))
    except AssertionError as error:
        if isinstance(error, Fault):
            raise
        state = [] if not system.devices else system.running()
        raise Fault(seed, f"{error}; {state}; kept for a look: {folder}") from error
    finally:
        if supervisor.is_alive():
            supervisor.end()
        system.end()
    shutil.rmtree(folder, ignore_errors=True)
    line.done += 1


def run(line: Line, budget: int) -> None:
    """Do so many rollouts, one after the other."""
    for number in range(budget):
        one_rollout(line.seed + number, line)


if __name__ == "__main__":
    main(run, f"rollouts under kills, {DEVICES} devices", "rollouts", ci=1, full=20, chunk=1)
