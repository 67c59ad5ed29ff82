"""What the tests of the outbox have in common: readings as capture would append them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from edge.contract.reading import Reading, Thumbnail
from tests.campaigns.synthetic import plain_reading

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
        return plain_reading(datetime.now(UTC) - timedelta(days=days_ago), detail, thumbnail), content

    return build


@pytest.fixture(scope="session")
def reading() -> Callable[..., Build]:
    """Return the maker of build functions."""
    return make_reading
