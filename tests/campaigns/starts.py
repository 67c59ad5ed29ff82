"""A device whose unit restarts without end: thousands of epochs of one capture each, and no number without account.

    python -m tests.campaigns.starts --seed S --budget STARTS [--ledger FILE]

One chunk is two devices. The first starts so often at the ceiling of space, with nobody to send to; then the station
comes. The second holds an epoch for each start, its station is away, comes, is set back to a copy of its folder from
half-way, and at last starts with an empty one. Publish, broker and station are real processes. In the end each number
that was ever given is stored once or named as lost, and no JSON message on the wire was above 32 kB.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as paho
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from edge.config.tree import Outbox as OutboxSettings
from edge.contract.committed import MAX_MESSAGE_BYTES
from edge.contract.reading import Reading, Thumbnail
from edge.contract.record import MAX_RANGES
from edge.contract.status import MAX_EPOCHS_IN_INFO
from edge.outbox.outbox import Outbox
from edge.outbox.watermarks import Released, read_released
from tests.campaigns.campaign import Fault, Line, main
from tests.campaigns.synthetic import DEVICE, Build, plain_reading
from tests.harness.waiting import wait_until
from tests.station import samples
from tests.system.rig import Rig, query

CEILING_MB = 1
FEW = 1_000
DETAIL_BYTES, LONG_DETAIL_BYTES = 100, 4_000
"""Of few starts the readings are longer, so that the ceiling is reached with them too."""
ROOMY_MB = 4_000
PICTURE_EVERY = 3
WAIT_S = 3600.0
"""For a station to have everything: minutes with 10,000 epochs on an idle machine."""
Numbers = set[tuple[str, int]]


class Wire:
    """A client that hears all that a device and its station say, and keeps the sizes."""

    def __init__(self, port: int) -> None:
        """Listen from now on."""
        self.largest: dict[str, int] = {}
        self.messages: Counter[str] = Counter()
        self.named: set[str] = set()
        self.most_named = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("cageclock/v1/#", qos=0)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        """Listen no more."""
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        kind = message.topic.split("/")[3]
        self.messages[kind] += 1
        self.largest[kind] = max(self.largest.get(kind, 0), len(message.payload))
        if kind == "info" and message.payload:
            epochs = [of["epoch"] for of in json.loads(message.payload)["epochs"]]
            self.most_named = max(self.most_named, len(epochs))
            self.named.update(epochs)


class StartsRig(Rig):
    """The rig with one outbox in this process, opened anew for each capture."""

    def __init__(self, folder: Path, seed: int, *, max_mb: int, detail_bytes: int) -> None:
        """Nothing runs yet. detail_bytes: half the length of a reading's text."""
        super().__init__(folder, device=DEVICE)
        self.chance = random.Random(seed)
        self._outbox = OutboxSettings(reserve_mb=0, min_free_mb=0, max_mb=max_mb)
        self._detail_bytes = detail_bytes
        self.given: Numbers = set()
        path = folder / "cageclock.yaml"
        settings = self.settings()
        assert isinstance(settings["mqtt"], dict)
        settings["mqtt"] |= {"health_interval_s": 5.0}
        path.write_text(yaml.safe_dump(settings))
        self.parts["publish"] = self.part("publish", ["-m", "edge.cli", "publish", "--config", str(path)])

    def start_once(self, number: int, *, maintain: bool = True) -> None:
        """Let capture start, store one reading and end, before or after it has looked after space."""
        outbox = Outbox.open(self.state_dir, self._outbox, device_id=DEVICE, serial="rig")
        try:
            epoch, seq = outbox.append_reading(self._build(number)).key
            if maintain:
                outbox.maintain()
            self.given |= {(epoch, one) for one in range(1, max(seq, outbox.last_seq) + 1)}
        finally:
            outbox.close()

    def _build(self, number: int) -> Build:
        text = self.chance.randbytes(self._detail_bytes).hex()

        def build(epoch: str, seq: int) -> tuple[Reading, bytes | None]:
            if number % PICTURE_EVERY:
                return plain_reading(datetime.now(UTC), text, None), None
            jpeg = samples.picture(seq, epoch=epoch, device=DEVICE)
            sha = hashlib.sha256(jpeg).hexdigest()
            return plain_reading(
                datetime.now(UTC), text, Thumbnail(sha256=sha, bytes=len(jpeg), width=16, height=12)
            ), jpeg

        return build

    def held(self) -> Numbers:
        """Return what lies in the device's two files."""
        return {(epoch, seq) for _, epoch, seq in self.appended()}

    def held_epochs(self) -> int:
        """Return how many epochs capture's file knows."""
        return int(query(self.state_dir / "outbox.db", "SELECT count(*) FROM epochs")[0][0])

    def stored(self) -> Numbers:
        """Return what the station has."""
        return set(query(self.data / "station.db", "SELECT epoch, seq FROM records"))

    def count_stored(self) -> int:
        """Return how many records the station has."""
        rows = query(self.data / "station.db", "SELECT count(*) FROM records")
        return int(rows[0][0]) if rows else 0

    def lost(self) -> Numbers:
        """Return what the station knows to be lost."""
        rows = query(self.data / "station.db", "SELECT epoch, first_seq, last_seq FROM losses WHERE what = 'record'")
        return {(epoch, seq) for epoch, first, last in rows for seq in range(first, last + 1)}

    def wait_for_all(self, line: Line, what: str) -> None:
        """Return once the station has all that the device holds, and the device knows it."""
        began_s, held = time.monotonic(), self.held()
        wait_until(lambda: self.count_stored() >= len(held) and held <= self.stored(), WAIT_S, pause_s=0.5)
        line.notes[f"{what}, s"] = round(time.monotonic() - began_s)
        wait_until(self._released, WAIT_S, pause_s=1.0)
        line.notes[f"{what} and confirmed, s"] = round(time.monotonic() - began_s)

    def _released(self) -> bool:
        released = read_released(self.state_dir / "delivery.db")
        return all(
            seq in ranges
            for epoch, seq in self.held()
            for held in [released.get(epoch, Released())]
            for ranges in (held.records, held.thumbnails)
        )

    def differences(self, wire: Wire) -> list[str]:
        """Return what is not as it should be, in words."""
        verdict, stored, lost = self.judge(), self.stored(), self.lost()
        found = replace(verdict, lost=[], invented=[]).faults()  # losses are right here; of invented ones see below
        neither = self.given - stored - lost
        both = stored & lost
        invented = stored - self.given - self.held()
        found += [f"{len(neither)} numbers neither stored nor lost, as {min(neither)}"] if neither else []
        found += [f"{len(both)} numbers stored and lost, as {min(both)}"] if both else []
        found += [f"{len(invented)} numbers invented, as {min(invented)}"] if invented else []
        found += [
            f"a message of {size} bytes at {kind}"
            for kind, size in wire.largest.items()
            if size >= MAX_MESSAGE_BYTES and "thumbnail" not in kind
        ]
        if wire.most_named > MAX_EPOCHS_IN_INFO:
            found.append(f"{wire.most_named} epochs in one info")
        return found


def at_the_ceiling(rig: StartsRig, starts: int, line: Line) -> list[str]:
    """Start so often with nobody to send to, then let the station come; return what was wrong."""
    most, began_s = 0, time.monotonic()
    for number in range(starts):
        rig.start_once(number)
        most = max(most, rig.held_epochs()) if number % 100 == 0 else most
    line.notes["ceiling: starts/s"] = round(starts / (time.monotonic() - began_s), 1)
    held, epochs = rig.held(), rig.held_epochs()
    line.notes |= {"ceiling: most epochs": max(most, epochs), "ceiling: records held": len(held)}
    faults = [] if epochs <= len({epoch for epoch, _ in held}) else [f"{epochs} epochs, some of them without records"]
    schemas = dict(query(rig.state_dir / "outbox.db", "SELECT schema, count(*) FROM records GROUP BY schema"))
    line.notes["ceiling: lost records held"] = schemas.get("cageclock/lost/2", 0) + schemas.get("cageclock/lost/1", 0)
    gone = len({epoch for epoch, _ in rig.given - held})
    if not gone:
        faults.append("the ceiling was not reached")
    line.notes["ceiling: epochs gone"] = gone
    size_mb = sum(path.stat().st_size for path in rig.state_dir.rglob("*") if path.is_file()) / 1e6
    line.notes["ceiling: folder MB"] = round(size_mb, 1)
    if size_mb > 2 * CEILING_MB + 2:
        faults.append(f"the state folder holds {size_mb:.1f} MB")
    if gone > 2 * MAX_RANGES and line.notes["ceiling: lost records held"] > 4 + 4 * gone / MAX_RANGES:
        faults.append(f"{line.notes['ceiling: lost records held']:.0f} lost records name {gone} epochs")
    wire = _begin(rig)
    try:
        rig.parts["station"].start()
        rig.wait_for_all(line, "ceiling: stored")
        return faults + _end(rig, wire, line, "ceiling")
    finally:
        wire.close()


def with_a_station_that_comes_and_goes(rig: StartsRig, starts: int, line: Line) -> list[str]:
    """Hold an epoch a start; the station is away, comes, is set back, starts empty; return what was wrong."""
    began_s = time.monotonic()
    for number in range(starts):
        rig.start_once(number, maintain=False)
    line.notes["held: starts/s"] = round(starts / (time.monotonic() - began_s), 1)
    line.notes["held: epochs"] = rig.held_epochs()
    wire = _begin(rig)
    try:
        wait_until(lambda: wire.messages["info"] >= 3)  # away: `info` takes turns though nobody answers
        station = rig.parts["station"]
        station.start()
        half = len(rig.held()) / 2
        wait_until(lambda: rig.count_stored() >= half, WAIT_S, pause_s=0.2)
        station.kill()
        shutil.copytree(rig.data, rig.folder / "half-way")
        line.notes["held: stored at the copy"] = rig.count_stored()
        station.start()
        rig.wait_for_all(line, "held: after being away")
        faults = _whole(rig, "away")
        station.kill()
        shutil.rmtree(rig.data)
        (rig.folder / "half-way").rename(rig.data)
        station.start()
        rig.wait_for_all(line, "held: after being set back")
        faults += _whole(rig, "set back")
        station.kill()
        shutil.rmtree(rig.data)
        station.start()
        rig.wait_for_all(line, "held: after being wiped")
        faults += _whole(rig, "wiped") + _end(rig, wire, line, "held")
        unnamed = {epoch for epoch, _ in rig.given} - wire.named
        return faults + ([f"{len(unnamed)} epochs were never named"] if unnamed else [])
    finally:
        wire.close()


def _whole(rig: StartsRig, what: str) -> list[str]:
    missing, lost = rig.held() - rig.stored(), rig.lost()
    found = [f"{what}: {len(missing)} missing"] if missing else []
    return found + ([f"{what}: {len(lost)} lost"] if lost else [])


def _begin(rig: StartsRig) -> Wire:
    rig.broker.start()
    wire = Wire(rig.broker.port)
    rig.parts["publish"].start()
    return wire


def _end(rig: StartsRig, wire: Wire, line: Line, what: str) -> list[str]:
    rig.parts["publish"].stop()
    rig.parts["station"].stop()
    for kind, size in sorted(wire.largest.items()):
        line.notes[f"{what}: largest {kind} B"] = size
    line.notes[f"{what}: info messages"] = wire.messages["info"]
    line.notes[f"{what}: record messages"] = wire.messages["record"] + wire.messages["reading"]
    return rig.differences(wire)


def one_device(kind: str, seed: int, starts: int) -> tuple[dict[str, float], str]:
    """Let one of the two devices live; return what was counted, and the fault, "" without."""
    live, max_mb = DEVICES[kind]
    line = Line("", seed, "")
    memory = Path("/dev/shm")  # what is tried here is not the disk
    folder = Path(tempfile.mkdtemp(prefix="starts-", dir=memory if memory.is_dir() else None))
    rig = StartsRig(folder, seed, max_mb=max_mb, detail_bytes=DETAIL_BYTES if starts >= FEW else LONG_DETAIL_BYTES)
    try:
        faults = live(rig, starts, line)
    except AssertionError as error:
        faults = [str(error)]
    finally:
        rig.end()
    if faults:
        return line.notes, f"{kind}: {'; '.join(faults)}; kept for a look: {folder}"
    shutil.rmtree(folder, ignore_errors=True)
    return line.notes, ""


DEVICES: dict[str, tuple[Callable[[StartsRig, int, Line], list[str]], int]] = {
    "at the ceiling": (at_the_ceiling, CEILING_MB),
    "holding all": (with_a_station_that_comes_and_goes, ROOMY_MB),
}


def run(line: Line, budget: int) -> None:
    """Run both devices at once with `budget` starts each.

    Raises:
        Fault: a number without account, a message too long, or a station that never got everything.
    """
    with ProcessPoolExecutor(len(DEVICES), multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(one_device, DEVICES, [line.seed] * len(DEVICES), [budget] * len(DEVICES)))
    for notes, _ in found:
        line.notes |= notes
    texts = [fault for _, fault in found if fault]
    if texts:
        raise Fault(line.seed, "; ".join(texts))
    line.done = budget


if __name__ == "__main__":
    main(run, "one-capture starts", "starts", ci=150, full=10_000, chunk=10_000)
