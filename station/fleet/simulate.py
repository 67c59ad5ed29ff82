"""`cageclock-station simulate-fleet`: devices on this machine, each with its own real programs, to try rollouts with.

Every device runs `cageclock capture` on a small simulated cage, `cageclock publish` and `cageclock fetch` as child
processes; this one looks into their inboxes, as the path unit of a device does. A program that ends is started again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edge.errors import OperatorError

PARTS = ("capture", "publish", "fetch")
LOOK_S = 0.3
STOP_S = 20.0
_PROGRAM = (sys.executable, "-m", "edge.cli")


@dataclass(frozen=True, slots=True)
class Simulated:
    """What the devices have in common. trust: the lab's trust.json; None: they take what the demo's key has signed.

    interval_s: between two captures. trial_captures: so many make a new model good; its ten minutes are left out.
    """

    folder: Path
    host: str = "localhost"
    port: int = 1883
    station: str = "lab1"
    trust: Path | None = None
    channel: str | None = None
    groups: tuple[str, ...] = ()
    interval_s: float = 60.0
    trial_captures: int = 2
    lights_on: str = "07:00"
    light_hours: float = 12.0


def settings_of(name: str, common: Simulated) -> dict[str, Any]:
    """Return the settings of one device."""
    bundle: dict[str, Any] = {"trial_captures": common.trial_captures, "trial_minutes": 0.0}
    if common.trust is not None:
        bundle |= {"trust": str(common.trust), "channel": common.channel}
    if common.groups:
        bundle["target_groups"] = list(common.groups)
    return {
        "device_id": name,
        "state_dir": str(common.folder / name / "state"),
        "cage": {"id": name, "animals": 1, "subject": f"m-{name}", "strain": "C57BL/6J"},
        "camera": {"backend": "simulated", "width": 320, "height": 240, "small_width": 160, "px_per_mm": 1.333},
        "light_cycle": {"lights_on": common.lights_on, "light_hours": common.light_hours},
        "schedule": {"interval_light_s": common.interval_s, "interval_dark_s": common.interval_s},
        "outbox": {"min_free_mb": 0, "reserve_mb": 2},
        "mqtt": {"host": common.host, "port": common.port, "station": common.station},
        "bundle": bundle,
    }


@dataclass(slots=True)
class Device:
    """One device's folder and programs."""

    name: str
    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """Its settings."""
        return self.folder / "cageclock.yaml"

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.folder / "state"

    def keep_running(self, parts: Sequence[str] = PARTS) -> None:
        """Start what does not run."""
        for part in parts:
            child = self.running.get(part)
            if child is None or child.poll() is not None:
                self.running[part] = self._start(part, part, "--config", str(self.config))

    def install_waiting(self) -> None:
        """Let the device install what lies in its inbox, one run at a time."""
        child, inbox = self.running.get("inbox"), self.state / "inbox"
        if child is not None and child.poll() is None:
            return
        if inbox.is_dir() and any(not path.name.startswith(".") for path in inbox.iterdir()):
            self.running["inbox"] = self._start("inbox", "bundle", "install", "--inbox", "--config", str(self.config))

    def stop(self, part: str) -> None:
        """End one program as systemd does; after a while by force."""
        child = self.running.pop(part, None)
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def stop_all(self) -> None:
        """End all of it."""
        for child in self.running.values():
            child.terminate()
        for part in list(self.running):
            self.stop(part)

    def _start(self, part: str, *words: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{part}.log").open("ab") as log:
            return subprocess.Popen([*_PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def make_devices(names: Sequence[str], common: Simulated) -> list[Device]:
    """Return the devices with their folders and settings; what an earlier run left is gone on with.

    Raises:
        OperatorError: a folder cannot be written.
    """
    found = []
    for name in names:
        device = Device(name, common.folder / name)
        try:
            device.folder.mkdir(parents=True, exist_ok=True)
            device.config.write_text(yaml.safe_dump(settings_of(name, common)))
        except OSError as error:
            raise OperatorError(f"{device.folder}: cannot be written: {error.strerror}") from error
        found.append(device)
    return found


def simulate(count: int, common: Simulated) -> int:
    """Run so many devices until SIGTERM or SIGINT and return 0."""
    devices = make_devices([f"sim{number:03}" for number in range(1, count + 1)], common)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(
        f"{count} devices in {common.folder}, at the broker {common.host}:{common.port}; Ctrl-C ends them", flush=True
    )
    try:
        while not stop.is_set():
            for device in devices:
                device.keep_running()
                device.install_waiting()
            stop.wait(LOOK_S)
    finally:
        for device in devices:
            device.stop_all()
    return 0
