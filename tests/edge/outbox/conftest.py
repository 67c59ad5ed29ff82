"""What the tests of the outbox have in common: readings as capture would append them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from edge.contract.reading import Light, Outcome, Reading, Thumbnail, Trigger

Build = Callable[[str, int], tuple[Reading, bytes | None]]


def make_reading(
    picture: bytes | None = b"jpeg", *, days_ago: float = 0.0, detail: str = "", same_picture: bool = False
) -> Build:
    """Return the build function of one reading; its picture's bytes carry the identity, as EXIF does."""

    def build(epoch: str, seq: int) -> tuple[Reading, bytes | None]:
        content = picture if picture is None or same_picture else picture + f"{epoch}{seq}".encode()
        thumbnail = None
        if content is not None:
            thumbnail = Thumbnail(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), width=320, height=240)
        return Reading(
            device_id="cage07",
            cage_id="c7",
            captured_at=datetime.now(UTC) - timedelta(days=days_ago),
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
        ), content

    return build


@pytest.fixture(scope="session")
def reading() -> Callable[..., Build]:
    """Return the maker of build functions."""
    return make_reading
