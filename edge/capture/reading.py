"""The reading of one slot, put together from its labels, its frames and what was observed in them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from edge.capture.slot import Slot
from edge.config.tree import Config
from edge.contract import jsontext
from edge.contract.manifest import PREPROCESS_VERSION
from edge.contract.reading import CameraState, Model, Outcome, Quality, Reading, Shadow, Thumbnail, Timings
from edge.errors import MessageError, describe_error
from edge.vision import image
from edge.vision.frame import Frame
from edge.vision.observe import Observation
from edge.vision.pixels import Image

EXIF_BYTES = 512
"""Kept free below `thumbnail.max_kb` for the identity in EXIF."""
_MOST_BYTES = 240_000
"""The largest reading; a station refuses a record of more than 256 kB."""
_FAULTS = (Outcome.CAMERA_FAULT, Outcome.MODEL_FAULT, Outcome.STALE_FRAME)
T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one slot, before its reading has an identity.

    frames: the burst; empty where the camera failed. observation: None where camera or model failed.
    shadow: what a candidate says of the same frames, None where none runs.
    """

    outcome: Outcome
    detail: str
    frames: Sequence[Frame] = ()
    quality: Quality | None = None
    observation: Observation | None = None
    model: Model | None = None
    timings: Timings = field(default_factory=Timings)
    shadow: Shadow | None = None

    def view_of_first(self) -> Image:
        """Return the first frame's small view, as its quality was judged by: the model names the preprocessing."""
        version = PREPROCESS_VERSION if self.model is None else self.model.preprocess_version
        return self.frames[0].small(version)


@dataclass(frozen=True, slots=True)
class TakenSlot:
    """A slot, what was found in it, and its reading, which is durable."""

    slot: Slot
    result: Result
    reading: Reading


class Composer:
    """Makes readings of one device."""

    def __init__(self, config: Config, config_sha256: str) -> None:
        """The settings do not change while the process runs."""
        self._config = config
        self._config_sha256 = config_sha256

    def compose(self, slot: Slot, result: Result, epoch: str, seq: int) -> tuple[Reading, bytes | None]:
        """Return the reading and its thumbnail, which carries the identity (epoch, seq) in EXIF.

        What cannot be made or recorded is left out, thumbnail and camera's state first, and `detail` names it.
        """
        frame = self._shown(result)
        missing: list[str] = []
        jpeg, thumbnail, state = None, None, None
        if frame is not None:
            try:
                if self._config.thumbnail.enabled:
                    jpeg, thumbnail = self._thumbnail(frame, slot, epoch, seq)
            except Exception as error:  # noqa: BLE001 - a picture that cannot be coded costs the picture
                missing.append(f"no thumbnail: {describe_error(error)}")
            try:
                state = recordable(frame.state)
            except Exception as error:  # noqa: BLE001 - a camera may report anything
                missing.append(f"no camera state: {describe_error(error)}")
        try:
            reading = self._recorded(slot, result, frame, state, thumbnail, missing)
        except Exception as error:  # noqa: BLE001 - the slot yields its reading, whatever it showed
            return self.bare(slot, result.outcome, f"not recordable: {describe_error(error)}"), None
        return reading, jpeg

    def _recorded(
        self,
        slot: Slot,
        result: Result,
        frame: Frame | None,
        state: CameraState | None,
        thumbnail: Thumbnail | None,
        missing: list[str],
    ) -> Reading:
        """Return the reading; where it cannot be recorded with what a candidate says, without it."""
        try:
            return recordable(self._whole(slot, result, frame, state, thumbnail, missing))
        except Exception as error:
            if result.shadow is None:
                raise
            without = [*missing, f"no shadow: {describe_error(error)}"]
            return recordable(self._whole(slot, replace(result, shadow=None), frame, state, thumbnail, without))

    def bare(self, slot: Slot, outcome: Outcome, detail: str) -> Reading:
        """Return the reading of a slot of which nothing but its labels and its fault can be recorded."""
        fault = outcome if outcome in _FAULTS else Outcome.CAMERA_FAULT
        return self._whole(slot, Result(fault, detail), None, None, None, ())

    def _whole(
        self,
        slot: Slot,
        result: Result,
        frame: Frame | None,
        state: CameraState | None,
        thumbnail: Thumbnail | None,
        missing: Sequence[str],
    ) -> Reading:
        seen = result.observation
        cage = self._config.cage
        return Reading(
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
            detail="; ".join(part for part in (result.detail, *missing) if part),
            accepted=seen.accepted if seen is not None else False,
            age_days=seen.age_days if seen is not None else None,
            animals=seen.animals if seen is not None else (),
            expected_animals=cage.animals,
            strain=cage.strain,
            frames=len(result.frames),
            px_per_mm=frame.px_per_mm if frame is not None else None,
            quality=result.quality,
            camera=state,
            model=result.model,
            thumbnail=thumbnail,
            timings=result.timings,
            config_sha256=self._config_sha256,
            shadow=msgspec.UNSET if result.shadow is None else result.shadow,
        )

    def _shown(self, result: Result) -> Frame | None:
        if not result.frames:
            return None
        return result.frames[result.observation.best if result.observation is not None else 0]

    def _thumbnail(self, frame: Frame, slot: Slot, epoch: str, seq: int) -> tuple[bytes, Thumbnail]:
        settings = self._config.thumbnail
        colours = frame.views().colours()
        if settings.width > colours.shape[1]:
            colours = frame.main
        coded = image.encode_jpeg(
            colours,
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


def recordable(value: T) -> T:
    """Return the value itself, where a record can hold it.

    Raises:
        MessageError: a number is not finite, something is out of the contract's range, or all of it is too long.
    """
    body = jsontext.encode(value)
    if len(body) > _MOST_BYTES:
        raise MessageError(f"{type(value).__name__}: expected at most {_MOST_BYTES} bytes, got {len(body)}")
    jsontext.decode(body, type(value))
    return value


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
