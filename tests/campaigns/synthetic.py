"""Records as capture would append them, drawn from a seed: only the times of day differ between two runs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from datetime import UTC, datetime

from edge.contract.reading import Light, Outcome, Reading, Thumbnail, Trigger
from edge.contract.record import Event

Build = Callable[[str, int], tuple[Reading, bytes | None]]
DEVICE = "cage07"


def plain_reading(at: datetime, detail: str, thumbnail: Thumbnail | None) -> Reading:
    """Return a reading of an empty cage: what the outbox's tests and campaigns store."""
    return Reading(
        device_id=DEVICE,
        cage_id="c7",
        captured_at=at,
        boot_id="b" * 32,
        monotonic_s=1.0,
        clock_synced=True,
        light=Light.DARK,
        zeitgeber_h=13.0,
        trigger=Trigger.SCHEDULE,
        outcome=Outcome.NO_MOUSE,
        detail=detail,
        accepted=False,
        age_days=None,
        animals=(),
        expected_animals=1,
        strain=None,
        frames=1,
        px_per_mm=None,
        quality=None,
        camera=None,
        model=None,
        thumbnail=thumbnail,
        config_sha256="0" * 64,
    )


def make_reading(picture: bytes | None, chance: random.Random, *, at: datetime | None = None) -> Build:
    """Return the build function of one reading of 0.5 to 3 kB."""
    detail = chance.randbytes(chance.choice((10, 400, 1200))).hex()

    def build(_epoch: str, _seq: int) -> tuple[Reading, bytes | None]:
        thumbnail = None
        if picture is not None:
            sha = hashlib.sha256(picture).hexdigest()
            thumbnail = Thumbnail(sha256=sha, bytes=len(picture), width=320, height=240)
        return plain_reading(at or datetime.now(UTC), detail, thumbnail), picture

    return build


def make_event(chance: random.Random) -> Event:
    """Return an event of capture's."""
    return Event(
        device_id=DEVICE,
        recorded_at=datetime.now(UTC),
        boot_id="b" * 32,
        monotonic_s=1.0,
        clock_synced=True,
        code="watchdog",
        text=f"event {chance.random()}",
    )
