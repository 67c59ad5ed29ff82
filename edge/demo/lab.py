"""The demo's lab on disk: one folder with the settings of every program, as a user would write them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from edge.demo.broker import Broker

STATION = "demo-station"
INTERVAL_S = 82.4 * 3600.0
"""Three and a half days, and not a multiple of a day: the captures wander through day and night."""


@dataclass(frozen=True, slots=True)
class DemoCage:
    """One simulated cage with one animal."""

    device_id: str
    subject: str
    seed: int
    strain: str
    captures: int
    config: Path
    state_dir: Path


def build_lab(folder: Path, broker: Broker, *, cages: int, captures: int, seed: int) -> list[DemoCage]:
    """Return the cages after writing each device's settings, a whole life of `captures` readings a cage."""
    devices = folder / "devices"
    devices.mkdir(parents=True, exist_ok=True)
    built = []
    for number in range(1, cages + 1):
        device_id = f"demo-cage-{number}"
        cage = DemoCage(
            device_id=device_id,
            subject=f"DEMO{number:03d}",
            seed=seed * 100 + number,
            strain="C57BL/6J",
            captures=captures,
            config=devices / f"{device_id}.yaml",
            state_dir=devices / device_id,
        )
        cage.config.write_text(yaml.safe_dump(_device_settings(cage, broker), sort_keys=False))
        built.append(cage)
    return built


def begins_at(captures: int) -> datetime:
    """Return when the demo's stepped clock starts, so that the last capture falls on about now."""
    return (datetime.now(UTC) - timedelta(seconds=captures * INTERVAL_S)).replace(microsecond=0)


def write_subjects(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the lab's own table of animals, as `cageclock-station subjects import` reads it."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["subject", "strain", "sex", "date_of_birth", "cage", "device"])
        writer.writeheader()
        writer.writerows(rows)


def _device_settings(cage: DemoCage, broker: Broker) -> dict[str, Any]:
    mqtt: dict[str, Any] = {
        "host": broker.host,
        "port": broker.port,
        "version": broker.version,
        "station": STATION,
        "resend_after_s": 5.0,
        "health_interval_s": 10.0,
    }
    if broker.username is not None and broker.password_file is not None:
        mqtt |= {"username": broker.username, "password_file": str(broker.password_file)}
    return {
        "device_id": cage.device_id,
        "state_dir": str(cage.state_dir),
        "cage": {"id": cage.device_id, "animals": 1, "subject": cage.subject, "strain": cage.strain},
        "camera": {
            "backend": "simulated",
            "width": 960,
            "height": 720,
            "px_per_mm": 4.0,
            "simulated": {"seed": cage.seed, "age_days_at_start": 50.0, "strain": cage.strain},
        },
        "schedule": {"interval_light_s": INTERVAL_S, "interval_dark_s": INTERVAL_S, "phase_offset_s": 0.0},
        "light_cycle": {"lights_on": "07:00", "light_hours": 12.0, "zone": "+00:00"},
        "outbox": {"keep_days": 10_000.0},  # on the stepped clock a fortnight is over in seconds
        "mqtt": mqtt,
    }
