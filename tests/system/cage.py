"""One cage's whole path as a person runs it: `capture`, `publish` and a station, each by its command line."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from edge.outbox.watermarks import read_released
from tests.harness.child import REPOSITORY, Child, python
from tests.harness.waiting import wait_until

BUNDLE = REPOSITORY / "tests" / "data" / "tiny.bundle"
DEVICE, STATION = "cage07", "lab1"
ROOT = f"cageclock/v1/{DEVICE}"


class Cage:
    """Settings, state directory and station of one device in a folder. `change` alters settings by section."""

    def __init__(self, folder: Path, port: int, **sections: Any) -> None:
        self.folder, self.port = folder, port
        self.state, self.data, self.config = folder / "state", folder / "station", folder / "device.yaml"
        small = {"backend": "simulated", "width": 320, "height": 240, "small_width": 160, "px_per_mm": 1.333}
        self.settings: dict[str, Any] = {
            "device_id": DEVICE,
            "state_dir": str(self.state),
            "cage": {"id": "c7", "subject": "m1"},
            "camera": small,
            "mqtt": {"host": "127.0.0.1", "port": port, "station": STATION, "resend_after_s": 1.0},
            "outbox": {"min_free_mb": 0, "reserve_mb": 2},
            "bundle": {"path": str(BUNDLE), "trusted_keys": [str(BUNDLE.with_suffix(".pub"))]},
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.change(**sections)

    def change(self, **sections: Any) -> None:
        for name, value in sections.items():
            if isinstance(value, dict) and isinstance(self.settings.get(name), dict):
                self.settings[name] |= value
            else:
                self.settings[name] = value
        self.config.write_text(yaml.safe_dump(self.settings))

    def capture(self, captures: int, *options: str) -> tuple[int, list[str]]:
        """Photograph so many slots on a stepped clock; return the exit code and the lines on standard error."""
        with self.watch("--stepped", "--captures", str(captures), *options) as child:
            return child.ended(), lines_of(child)

    def publish(self, **environment: str) -> Child:
        command = python("-m", "edge.cli", "publish", "--config", self.config)
        return Child(command, self.folder / f"publish-{time.monotonic_ns()}.log", **environment)

    def watch(self, *options: str) -> Child:
        """Return a capture process that waits for its slots and for requests, as on a device."""
        command = python("-m", "edge.cli", "capture", "--config", self.config, *options)
        return Child(command, self.folder / f"capture-{time.monotonic_ns()}.log")

    def station(self, *options: str) -> Child:
        return self.another_station(STATION, self.data, *options)

    def another_station(self, name: str, data: Path, *options: str) -> Child:
        """Return a station under any name, with its log beside its folder."""
        command = python("-m", "station.cli", "run", "--host", "127.0.0.1", "--port", self.port)
        return Child([*command, "--name", name, "--data", str(data), *options], data.with_name(f"{data.name}.log"))

    def appended(self) -> set[tuple[str, int, str]]:
        """Return (epoch, seq, digest) of everything in the outbox."""
        return _rows(self.state / "outbox.db", "SELECT epoch, seq, digest FROM records")

    def logged(self, data: Path | None = None) -> set[tuple[str, int, str]]:
        """Return (epoch, seq, digest) of everything that the station, or another one, holds."""
        return _rows((data or self.data) / "station.db", "SELECT epoch, seq, digest FROM records")

    def losses(self, data: Path) -> set[tuple[str, int, int]]:
        """Return (epoch, first, last) of the records that a station knows to be lost."""
        query = "SELECT epoch, first_seq, last_seq FROM losses WHERE what = 'record'"
        return _rows(data / "station.db", query)

    def made_at(self) -> dict[tuple[str, int], datetime]:
        """Return when each record of the outbox was made, by its own words."""
        rows = _rows(self.state / "outbox.db", "SELECT epoch, seq, body FROM records")
        bodies = {(epoch, seq): json.loads(body) for epoch, seq, body in rows}
        return {
            key: datetime.fromisoformat(body.get("captured_at") or body["recorded_at"]) for key, body in bodies.items()
        }

    def pictures(self) -> set[str]:
        """Return the sha256 of every picture that a row of the outbox names."""
        query = "SELECT thumbnail FROM records WHERE thumbnail IS NOT NULL"
        return {sha for (sha,) in _rows(self.state / "outbox.db", query)}

    def stored_pictures(self) -> set[str]:
        """Return the sha256 of every picture that the station holds."""
        return {sha for (sha,) in _rows(self.data / "station.db", "SELECT sha256 FROM thumbnails")}

    def outcomes(self) -> list[str]:
        """Return the readings' outcomes in sequence."""
        query = "SELECT id, body FROM records WHERE kind = 'reading'"
        return [json.loads(body)["outcome"] for _, body in sorted(_rows(self.state / "outbox.db", query))]

    def events(self) -> list[str]:
        """Return the codes of the outbox's events in sequence."""
        query = "SELECT id, body FROM records WHERE schema = 'cageclock/event/1'"
        return [json.loads(body)["code"] for _, body in sorted(_rows(self.state / "outbox.db", query))]

    def epochs(self) -> set[tuple[str, int]]:
        """Return each epoch of the outbox with its last number."""
        return _rows(self.state / "outbox.db", "SELECT epoch, max(seq) FROM records GROUP BY epoch")

    def released(self) -> set[tuple[str, int]]:
        """Return each epoch of the outbox with the last number below which all is released, pictures too."""
        found = read_released(self.state / "delivery.db")
        whole = {
            epoch: min(held.records.watermark()[0], held.thumbnails.watermark()[0]) for epoch, held in found.items()
        }
        return {(epoch, whole.get(epoch, 0)) for epoch, _ in self.epochs()}

    def arrives(self) -> bool:
        """Wait until the station holds every record of the outbox, byte for byte."""
        appended = self.appended()
        assert appended
        return bool(wait_until(lambda: appended <= self.logged()))


def lines_of(child: Child) -> list[str]:
    """Return what a child has said so far, but for the line that says which model runs on which runtime."""
    passed_over = ("INFO: Created TensorFlow Lite", "cageclock: model ")
    return [line for line in child.log().splitlines() if not line.startswith(passed_over)]


def _rows(path: Path, query: str) -> set[Any]:
    if not path.exists():
        return set()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            return set(connection.execute(query).fetchall())
        except sqlite3.OperationalError:
            return set()  # not yet made
