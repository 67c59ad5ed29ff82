"""A backlog is caught up, and replayed to a second station that stalls, while live readings keep passing.

    python -m tests.campaigns.backlog --seed S --budget READINGS [--ledger FILE]

The budget is the number of readings held when the broker comes back. First the releasing station gets them, then a
second station that was not there before gets them by the command `replay`; both are stopped in its middle. Readings are
appended all the while. Latency is from the return of `append` until the record is in the station's database. Stations,
broker and publish are real processes; memory is the resident set of each.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as paho
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from edge.config.tree import Outbox as OutboxSettings
from edge.outbox.outbox import Outbox
from edge.outbox.watermarks import Released, read_released
from station.store.body import unpack_body
from tests.campaigns.campaign import Fault, Line, main
from tests.campaigns.synthetic import DEVICE, make_reading
from tests.harness.child import Child
from tests.harness.waiting import wait_until
from tests.system.rig import STATION, Rig, query

LATE = "lab2"
LIVE_WITHIN_S = 5.0
TIMES_REAL = 20.0
"""Against one reading a second, sixty times the default schedule."""
LIVE_EVERY_S = 0.12
STALL_S = 8.0
GROWTH_MB = 40.0


class FleetRig(Rig):
    """The rig with its outbox in this process, and a second station that is started when asked."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, device=DEVICE)
        self.chance = random.Random(seed)
        # Nothing of capture's beside it: what this process has appended is what there is.
        self.outbox = Outbox.open(
            self.state_dir, OutboxSettings(reserve_mb=0, min_free_mb=0), device_id=DEVICE, serial="rig"
        )
        path = folder / "cageclock.yaml"
        path.write_text(yaml.safe_dump(self.settings()))
        self.parts["publish"] = self.part("publish", ["-m", "edge.cli", "publish", "--config", str(path)])
        self.late_data = folder / "late"
        command = ["-m", "station.cli", "run", "--host", "127.0.0.1", "--port", str(self.broker.port)]
        self.late = self.part("late", [*command, "--name", LATE, "--data", str(self.late_data)])
        self.results: list[dict[str, object]] = []

    def append(self) -> int:
        """Append one reading without a picture and return its number."""
        return self.outbox.append_reading(make_reading(None, self.chance)).key[1]

    def end(self) -> None:
        super().end()
        self.late.kill()
        self.outbox.close()

    def stored(self, data: Path) -> set[int]:
        """Return the numbers of the outbox's sequence that a station has."""
        rows = query(data / "station.db", f"SELECT seq FROM records WHERE epoch = '{self.outbox.epoch}'")
        return {seq for (seq,) in rows}

    def differences(self, data: Path) -> list[str]:
        """Return what a station has more, less or otherwise than the device, in words."""
        held = {(epoch, seq): digest for (_, epoch, seq), (digest, _) in self.appended().items()}
        rows = query(data / "station.db", "SELECT epoch, seq, body FROM records")
        there = {(epoch, seq): hashlib.sha256(unpack_body(body)).hexdigest() for epoch, seq, body in rows}
        found = []
        if len(rows) != len(there):
            found.append(f"{len(rows) - len(there)} doubled")
        for name, keys in (
            ("missing", set(held) - set(there)),
            ("invented", set(there) - set(held)),
            ("changed", {key for key in set(held) & set(there) if held[key] != there[key]}),
        ):
            if keys:
                found.append(f"{len(keys)} {name}, from {min(keys)[1]} to {max(keys)[1]}")
        for table in ("conflicts", "quarantine", "losses"):
            count = query(data / "station.db", f"SELECT count(*) FROM {table}")[0][0]
            if count:
                found.append(f"{count} {table}")
        return found

    def listen(self) -> paho.Client:
        """Return a client that keeps the device's answers in `results`."""
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda _client, _data, message: self.results.append(json.loads(message.payload))
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        client.subscribe(f"cageclock/v1/{DEVICE}/result", qos=1)
        return client

    def ask_replay(self, client: paho.Client, last: int) -> None:
        """Ask for the readings 1..last again, for the second station."""
        body = {"id": "again", "epoch": self.outbox.epoch, "first_seq": 1, "last_seq": last, "station": LATE}
        client.publish(f"cageclock/v1/{DEVICE}/command/replay", json.dumps(body), 1).wait_for_publish(10)

    def replayed(self) -> bool:
        """Whether the device has said that the replay is done."""
        return any(result["status"] == "done" for result in self.results)


class Live:
    """Appends a reading every so often, and says how long each took to the releasing station's database."""

    def __init__(self, rig: FleetRig) -> None:
        self._rig, self._open = rig, dict[int, float]()
        self._next_s = 0.0
        self.took_s: list[float] = []
        self.held_up_s = 0.0

    def turn(self, *, more: bool = True) -> None:
        """Do what is due now."""
        now_s = time.monotonic()
        if more and now_s >= self._next_s:
            self._next_s = now_s + LIVE_EVERY_S
            seq = self._rig.append()
            self._open[seq] = time.monotonic()
        if not self._open:
            return
        wanted = ", ".join(map(str, self._open))
        select = f"SELECT seq FROM records WHERE epoch = '{self._rig.outbox.epoch}' AND seq IN ({wanted})"
        for (seq,) in query(self._rig.data / "station.db", select):
            # A station that stands still can store nothing: its readings count from when it goes on.
            self.took_s.append(time.monotonic() - max(self._open.pop(seq), self.held_up_s))

    def finish(self, timeout_s: float = 60.0) -> None:
        """Wait for those on the way; what does not come counts with the time waited."""
        deadline_s = time.monotonic() + timeout_s
        while self._open and time.monotonic() < deadline_s:
            self.turn(more=False)
            time.sleep(0.02)
        self.took_s += [time.monotonic() - max(at_s, self.held_up_s) for at_s in self._open.values()]

    def note(self, line: Line, what: str) -> None:
        """Write count, 99th percentile and maximum into the line."""
        ordered = sorted(self.took_s)
        line.notes[f"{what}: live readings"] = len(ordered)
        line.notes[f"{what}: live p99 s"] = round(ordered[int(len(ordered) * 0.99)], 2)
        line.notes[f"{what}: live max s"] = round(ordered[-1], 2)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Memory:
    """Resident memory of named processes: at the first look and the highest since, MB."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self.before = {name: resident_mb(pid) for name, pid in pids.items()}
        self.highest = dict(self.before)

    def look(self) -> None:
        for name, pid in self._pids.items():
            self.highest[name] = max(self.highest[name], resident_mb(pid))

    def note(self, line: Line) -> list[str]:
        """Write the figures into the line; return what grew too much."""
        for name, most in self.highest.items():
            line.notes[f"{name} MB before"] = round(self.before[name], 1)
            line.notes[f"{name} MB max"] = round(most, 1)
        return [
            f"{name} grew from {self.before[name]:.0f} to {most:.0f} MB"
            for name, most in self.highest.items()
            if most > self.before[name] + GROWTH_MB
        ]


def catch_up(rig: FleetRig, held: int, line: Line) -> list[str]:
    """Let the station have `held` readings at once; return what was wrong."""
    for _ in range(held):
        rig.append()
    rig.broker.start()
    for part in rig.parts.values():
        part.start()
    wait_until(lambda: rig.stored(rig.data))
    began_s, first, live = time.monotonic(), len(rig.stored(rig.data)), Live(rig)
    while not set(range(1, held + 1)) <= rig.stored(rig.data):
        if time.monotonic() - began_s > held / TIMES_REAL + 30:
            break
        live.turn()
        time.sleep(0.02)
    rate = (held - first) / (time.monotonic() - began_s)
    live.finish()
    live.note(line, "catching up")
    line.notes["caught up, readings/s"] = round(rate)
    faults = _slow(live)
    if rate < TIMES_REAL:
        faults.append(f"caught up {rate:.1f} readings/s, expected {TIMES_REAL:.0f}")
    return faults


def replay_to_a_late_station(
    rig: FleetRig, held: int, line: Line, *, stalled: list[Child], stall_s: float = STALL_S
) -> list[str]:
    """Bring up the second station, replay to it, stop some stations in the middle; return what was wrong."""
    rig.late.start()
    wait_until(lambda: "connected to" in rig.late.log())
    client, live = rig.listen(), Live(rig)
    pids = {"publish": rig.parts["publish"].pid, "station": rig.parts["station"].pid, "late station": rig.late.pid}
    memory = Memory(pids | {"broker": rig.broker.pid})

    def go_on(until: Callable[[], bool], timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not until() and time.monotonic() < deadline_s:
            live.turn()
            memory.look()
            time.sleep(0.02)

    began_s = time.monotonic()
    before = rig.append()  # what comes after the second station is sent to both anyway
    rig.ask_replay(client, before)
    go_on(lambda: len(rig.stored(rig.late_data)) > held / 10, 60)
    for part in stalled:
        os.kill(part.pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    go_on(lambda: time.monotonic() > stopped_s + stall_s, 2 * stall_s)
    for part in stalled:
        os.kill(part.pid, signal.SIGCONT)
    if rig.parts["station"] in stalled:
        live.held_up_s = time.monotonic()
    go_on(rig.replayed, 60 + held / TIMES_REAL)
    line.notes["replayed, readings/s"] = round(before / (time.monotonic() - began_s))
    live.finish()
    live.note(line, "replay")
    client.disconnect()
    client.loop_stop()
    faults = _slow(live) + memory.note(line)
    if not rig.replayed():
        faults.append("the replay was never said to be done")
    return faults


def settle(rig: FleetRig) -> list[str]:
    """End all in order and return how the two databases differ from the device."""
    quiet_s = rig.wait_for_quiet(60)
    time.sleep(2.0)
    found = [] if quiet_s < 60 else ["the station has not all after 60 s"]
    found += [f"{STATION}: {text}" for text in rig.differences(rig.data)]
    return found + [f"{LATE}: {text}" for text in rig.differences(rig.late_data)]


def released(rig: FleetRig) -> int:
    """Return the highest number up to which the device counts its readings as delivered, by `delivery.db`."""
    return read_released(rig.state_dir / "delivery.db").get(rig.outbox.epoch, Released()).records.highest


def _slow(live: Live) -> list[str]:
    late = [took_s for took_s in live.took_s if took_s > LIVE_WITHIN_S]
    return [f"{len(late)} of {len(live.took_s)} live readings took up to {max(late):.1f} s"] if late else []


def run(line: Line, budget: int) -> None:
    """Run one system with `budget` readings held."""
    folder = Path(tempfile.mkdtemp(prefix="backlog-"))
    rig = FleetRig(folder, line.seed)
    try:
        faults = catch_up(rig, budget, line)
        faults += replay_to_a_late_station(rig, budget, line, stalled=[rig.parts["station"], rig.late])
        faults += settle(rig)
        if faults:
            raise Fault(line.seed, "; ".join(faults))
        line.done = budget
    finally:
        rig.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(run, "backlog", "readings", ci=1_500, full=10_000, chunk=10_000)
