"""The reading of one slot, put together from its labels, its frames and what was observed in them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from edge import image
from edge.capture.slot import Slot
from edge.config.tree import Config
from edge.contract.reading import Model, Outcome, Quality, Reading, Thumbnail, Timings
from edge.frame import Frame
from edge.observe import Observation

EXIF_BYTES = 512
"""Kept free below `thumbnail.max_kb` for the identity in EXIF."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one slot came to, before it has an identity.

    frames: the burst; empty where the camera failed. observation: None where camera or model failed.
    """

    outcome: Outcome
    detail: str
    frames: Sequence[Frame] = ()
    quality: Quality | None = None
    observation: Observation | None = None
    model: Model | None = None
    timings: Timings = field(default_factory=Timings)


class Composer:
    """Makes readings of one device."""

    def __init__(self, config: Config, config_sha256: str) -> None:
        """The settings do not change while the process runs."""
        self._config = config
        self._config_sha256 = config_sha256

    def compose(self, slot: Slot, result: Result, epoch: str, seq: int) -> tuple[Reading, bytes | None]:
        """Return the reading and its thumbnail, which carries the identity (epoch, seq) in EXIF."""
        frame = self._shown(result)
        jpeg, thumbnail = None, None
        if frame is not None and self._config.thumbnail.enabled:
            jpeg, thumbnail = self._thumbnail(frame, slot, epoch, seq)
        seen = result.observation
        cage = self._config.cage
        reading = Reading(
            device_id=self._config.device_id,
            cage_id=cage.id,
            captured_at=slot.captured_at,
            boot_id=slot.boot_id,
            monotonic_s=slot.monotonic_s,
            clock_synced=slot.clock_synced,
            light=slot.light,
            zeitgeber_h=slot.zeitgeber_h,
            trigger=slot.trigger,
            request_id=slot.request_id,
            outcome=result.outcome,
            detail=result.detail,
            accepted=seen.accepted if seen is not None else False,
            age_days=seen.age_days if seen is not None else None,
            animals=seen.animals if seen is not None else (),
            expected_animals=cage.animals,
            strain=cage.strain,
            frames=len(result.frames),
            px_per_mm=frame.px_per_mm if frame is not None else None,
            quality=result.quality,
            camera=frame.state if frame is not None else None,
            model=result.model,
            thumbnail=thumbnail,
            timings=result.timings,
            config_sha256=self._config_sha256,
        )
        return reading, jpeg

    def _shown(self, result: Result) -> Frame | None:
        if not result.frames:
            return None
        return result.frames[result.observation.best if result.observation is not None else 0]

    def _thumbnail(self, frame: Frame, slot: Slot, epoch: str, seq: int) -> tuple[bytes, Thumbnail]:
        settings = self._config.thumbnail
        coded = image.encode_jpeg(
            frame.main,
            width=min(settings.width, frame.main.shape[1]),
            quality=settings.jpeg_quality,
            max_bytes=settings.max_kb * 1024 - EXIF_BYTES,
        )
        jpeg = image.with_identity(
            coded, device_id=self._config.device_id, epoch=epoch, seq=seq, captured_at=slot.captured_at
        )
        width, height = jpeg_size(coded)
        digest = hashlib.sha256(jpeg).hexdigest()
        return jpeg, Thumbnail(sha256=digest, bytes=len(jpeg), width=width, height=height)


def with_crops(result: Result, digests: Sequence[tuple[str, ...]]) -> Result:
    """Return the result whose animals name their archived crops: the digests for each animal that has an estimate."""
    if result.observation is None:
        return result
    following = iter(digests)
    animals = tuple(
        animal if animal.estimate is None else msgspec.structs.replace(animal, crop_sha256=next(following))
        for animal in result.observation.animals
    )
    return replace(result, observation=replace(result.observation, animals=animals))


def jpeg_size(jpeg: bytes) -> tuple[int, int]:
    """Return width and height from a JPEG's frame header (ITU-T T.81, B.2.2); the picture is not decoded."""
    at = 2
    while at + 9 < len(jpeg):
        marker, length = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big")
        at += 2 + length
    raise ValueError("expected a JPEG with a frame header")
