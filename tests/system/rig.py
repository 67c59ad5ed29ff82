"""A whole system of real processes that are killed at random and started again, and the judge of what came through."""

import hashlib
import json
import random
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from station.store.body import unpack_body
from tests.harness.child import REPOSITORY, Child, python
from tests.harness.mosquitto import Mosquitto

ROOT = REPOSITORY
STATION = "lab1"
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Verdict:
    """What came through. Every list must be empty."""

    appended: int
    promised: int
    thumbnails: int
    missing: list[Key]
    changed: list[Key]
    invented: list[Key]
    unpictured: list[Key]
    conflicts: int
    quarantined: int
    lost: list[tuple[Any, ...]]

    def faults(self) -> list[str]:
        """Return what is wrong, in words."""
        found = [
            f"{len(keys)} {name}: {keys[:3]}"
            for name, keys in (
                ("missing", self.missing),
                ("changed", self.changed),
                ("invented", self.invented),
                ("without their thumbnail", self.unpictured),
                ("lost", self.lost),
            )
            if keys
        ]
        found += [
            f"{number} {name}"
            for name, number in (("conflicts", self.conflicts), ("quarantined", self.quarantined))
            if number
        ]
        return found


class Rig:
    """Broker with its defaults (nothing persists), station, and a device's two processes."""

    def __init__(self, folder: Path, device: str = "cage-1") -> None:
        self.folder, self.device = folder, device
        self.state_dir, self.data, self.ledger = folder / "state", folder / "station", folder / "ledger.txt"
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.broker = Mosquitto(folder / "broker", "allow_anonymous true\n")
        station = ["-m", "station.cli", "run", "--host", "127.0.0.1", "--port", str(self.broker.port)]
        station += ["--name", STATION, "--data", str(self.data)]
        self.parts = {"station": self.part("station", station)}

    def part(self, name: str, command: list[str]) -> Child:
        return Child(python(*command), self.folder / f"{name}.log")

    def add_device(self, settings: dict[str, object], capture: list[str]) -> None:
        """Add capture (or what stands for it) and publish."""
        path = self.folder / "cageclock.yaml"
        path.write_text(yaml.safe_dump(settings))
        self.parts["capture"] = self.part("capture", capture)
        self.parts["publish"] = self.part("publish", ["-m", "edge.cli", "publish", "--config", str(path)])

    def settings(self) -> dict[str, object]:
        """Return the device's settings, with little patience so that a test is short."""
        return {
            "device_id": self.device,
            "state_dir": str(self.state_dir),
            "cage": {"id": self.device, "animals": 1, "subject": "M1", "strain": "C57BL/6J"},
            "camera": {"backend": "simulated", "width": 640, "height": 480, "px_per_mm": 2.667},
            "schedule": {"interval_light_s": 3600.0, "interval_dark_s": 3600.0},
            "light_cycle": {"lights_on": "07:00", "light_hours": 12.0, "zone": "+00:00"},
            "mqtt": {
                "host": "127.0.0.1",
                "port": self.broker.port,
                "station": STATION,
                "resend_after_s": 2.0,
                "health_interval_s": 5.0,
            },
        }

    def start(self) -> None:
        self.broker.start()
        for part in self.parts.values():
            part.start()

    def end(self) -> None:
        """Kill whatever still runs."""
        for part in self.parts.values():
            part.kill()
        self.broker.kill()

    def kill_for(self, kills: int, seed: int, longest_pause_s: float) -> dict[str, int]:
        """Kill one process at a time at random moments and start it again; return how often each was killed."""
        chance = random.Random(seed)
        names = [*self.parts, "broker"]
        counts = dict.fromkeys(names, 0)
        for _ in range(kills):
            time.sleep(chance.uniform(0.05, longest_pause_s))
            name = chance.choice(names)
            counts[name] += 1
            down_s = chance.uniform(0.0, 0.4)
            victim = self.broker if name == "broker" else self.parts[name]
            victim.kill()
            time.sleep(down_s)
            victim.start()
        return counts

    def power_cut(self) -> None:
        """Kill everything at once and start everything again."""
        self.end()
        self.start()

    def appended(self) -> dict[Key, tuple[str, str | None]]:
        """Return digest and thumbnail's sha256 of all that lies in the device's two databases."""
        found = {}
        for name in ("outbox.db", "delivery.db"):
            path = self.state_dir / name
            if path.exists():
                for epoch, seq, body, sha in query(path, "SELECT epoch, seq, body, thumbnail FROM records"):
                    found[(self.device, epoch, seq)] = (hashlib.sha256(body).hexdigest(), sha)
        return found

    def promises(self) -> set[Key]:
        """Return what `append` had returned for, by the feeder's ledger."""
        keys = set()
        if self.ledger.exists():
            for line in self.ledger.read_bytes().split(b"\n")[:-1]:
                epoch, seq = line.decode().split()
                keys.add((self.device, epoch, int(seq)))
        return keys

    def judge(self) -> Verdict:
        """Return what came through: device and station side by side."""
        appended, promised = self.appended(), self.promises()
        station = self.data / "station.db"
        stored = {
            (device, epoch, seq): (digest, hashlib.sha256(unpack_body(body)).hexdigest())
            for device, epoch, seq, digest, body in query(
                station, "SELECT device, epoch, seq, digest, body FROM records"
            )
        }
        pictures = {
            (device, epoch, seq): path
            for device, epoch, seq, path in query(station, "SELECT device, epoch, seq, path FROM thumbnails")
        }
        numbers = {
            table: query(station, f"SELECT count(*) FROM {table}")[0][0] for table in ("conflicts", "quarantine")
        }
        return Verdict(
            appended=len(appended),
            promised=len(promised),
            thumbnails=len(pictures),
            missing=sorted((set(appended) | promised) - set(stored)),
            changed=sorted(
                key for key, (digest, _) in appended.items() if key in stored and stored[key] != (digest, digest)
            ),
            invented=sorted(set(stored) - set(appended)),
            unpictured=sorted(
                key
                for key, (_, sha) in appended.items()
                if sha is not None and not self._has_picture(pictures.get(key), sha)
            ),
            conflicts=numbers["conflicts"],
            quarantined=numbers["quarantine"],
            lost=query(station, "SELECT device, epoch, first_seq, last_seq, what, reason FROM losses"),
        )

    def wait_for_quiet(self, timeout_s: float) -> float:
        """Return after how many seconds the station had accounted for all that the device holds."""
        started = time.monotonic()
        while time.monotonic() - started < timeout_s:
            if self._all_accounted():
                return time.monotonic() - started
            time.sleep(0.2)
        return timeout_s

    def _all_accounted(self) -> bool:
        appended = set(self.appended())
        accounts = query(self.data / "station.db", "SELECT device, epoch, records, thumbnails FROM accounts")
        held = {
            (device, epoch): (json.loads(records), json.loads(pictures))
            for device, epoch, records, pictures in accounts
        }
        return all(
            any(first <= seq <= last for first, last in ranges)
            for device, epoch, seq in appended
            for ranges in held.get((device, epoch), ([], []))
        )

    def _has_picture(self, path: str | None, sha: str) -> bool:
        if path is None:
            return False
        file = self.data / path
        return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == sha


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return all rows; a database that is just being made has none."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as connection:
            return connection.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or "unable to open" in str(error):
            return []
        raise
