"""Samples of any depth to 8 bits, by a stated rule; what has none is refused.

- 8 bits or fewer, palettes, CMYK, YCbCr: as Pillow converts them to RGB.
- Grey of more than 8 bits: by the depth that the file states (a PGM's greatest value, a TIFF of 12 bits a sample).
  Most files of 16 bits a sample state none, though the sensor had fewer: then the least of 8, 10, 12, 14 and 16 bits in
  which the picture's brightest sample fits. That is a guess, and is reported: a dark picture may come out too bright.
- Whole numbers with a sign (a TIFF of int8 or int16): as above, with one bit less; below 0 refused.
- Whole numbers of 32 bits: as those of 16 where they fit; else refused.
- Floating point: 0 to 1 where no more than one sample in a thousand is above 1, else the least of the depths above in
  which all but as many fit. What is brighter (a hot pixel) becomes white, and is counted in what is reported. Below 0,
  above 65,535 or no number: refused.
- Colour of 16 bits a sample: the upper 8. Where these are below 64 throughout, it may be 14 bits or fewer in 16, and
  the lower ones are out of Pillow's reach: refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from edge.vision.frame import Image

DEPTHS = (8, 10, 12, 14, 16)
_SPIKES = 0.001
"""So many of a picture's samples may be brighter than its scale: defects of a sensor, of which 0.1% are a bad one's."""
_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_WITH_SIGN = 2


class Unscaled(Exception):
    """Samples whose scale nobody states, and what to do."""


@dataclass(frozen=True, slots=True)
class StoredSamples:
    """What a picture reports of its samples only before it is loaded.

    deep: 16 bits each, of which Pillow keeps 8. scaled: Pillow scales them to 16 bits by the greatest value stated.
    signed: of 8 or 16 bits each, one of which is the sign; of 8 Pillow takes them for whole numbers without one.
    """

    deep: bool
    scaled: bool
    signed: bool = False

    @classmethod
    def of(cls, picture: Pillow.Image) -> Self:
        """Look at how the picture is going to be decoded."""
        tiles = getattr(picture, "tile", None) or [("", (), 0, ())]
        colour = not picture.mode.startswith(("I", "F"))
        deep = colour and any(";16" in str(tile[3]) for tile in tiles)
        return cls(deep, tiles[0][0] == "ppm", _has_sign(getattr(picture, "tag_v2", {})))


def eight_bits(picture: Pillow.Image, stored: StoredSamples) -> tuple[Image, str]:
    """Return uint8 (height, width, 3) RGB of a loaded picture, and the depth where it had to be guessed.

    Raises:
        Unscaled: there is no right scale.
    """
    if picture.mode == "F":
        return _of_floats(np.asarray(picture))
    if stored.signed and picture.mode == "L":
        return _of_whole_numbers(np.asarray(picture).view(np.int8), picture, stored)
    if picture.mode.startswith("I"):
        return _of_whole_numbers(np.asarray(picture), picture, stored)
    pixels = _rgb(picture)
    if stored.deep and 0 < int(pixels.max()) < 64:
        raise Unscaled(
            "expected colour that fills its 16 bits a sample, got none above a quarter of it; save it with 8 bits"
        )
    return pixels, ""


def _rgb(picture: Pillow.Image) -> Image:
    if picture.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in picture.info:
        return np.asarray(picture.convert("RGB"))
    pixels = np.asarray(picture.convert("RGBA"))
    alpha = pixels[..., 3:]
    if alpha.min() == alpha.max():
        return np.ascontiguousarray(pixels[..., :3])
    return np.asarray((pixels[..., :3].astype(np.uint16) * alpha + 127) // 255, np.uint8)


def _of_whole_numbers(samples: NDArray[np.integer], picture: Pillow.Image, stored: StoredSamples) -> tuple[Image, str]:
    least, most = int(samples.min()), int(samples.max())
    if least < 0 or most > 0xFFFF:
        raise Unscaled(
            f"expected grey levels of 8 or 16 bits, got numbers from {least} to {most}; save it with 8 or 16 bits"
        )
    tags: Mapping[int, object] = getattr(picture, "tag_v2", {})
    bits = 16 if stored.scaled else _stated_bits(tags, most)
    guessed = ""
    if bits is None:
        most_bits = 8 * samples.dtype.itemsize - 1 if stored.signed else 16
        if stored.signed and picture.mode.startswith("I"):
            most_bits = 15  # Pillow widens them
        bits = next(depth for depth in (*DEPTHS, most_bits) if depth <= most_bits and most < 1 << depth)
        guessed = f"{bits} bits in 16" if most and bits < most_bits else ""
    full = (1 << bits) - 1
    levels = ((samples.astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    if tags.get(_PHOTOMETRIC) == 0 and picture.mode.startswith("I;16"):
        levels = 255 - levels  # white is zero; Pillow minds it in 8 bits only
    return _three(levels), guessed


def _has_sign(tags: Mapping[int, object]) -> bool:
    """Return whether a TIFF's samples are int8 or int16."""
    bits, kinds = tags.get(_BITS), tags.get(_SAMPLE_FORMAT)
    return isinstance(bits, tuple) and set(bits) <= {8, 16} and isinstance(kinds, tuple) and _WITH_SIGN in kinds


def _stated_bits(tags: Mapping[int, object], most: int) -> int | None:
    stated = tags.get(_BITS)
    bits = stated[0] if isinstance(stated, tuple) and stated else stated
    return bits if isinstance(bits, int) and 8 < bits < 16 and most < 1 << bits else None


def _of_floats(samples: NDArray[np.floating]) -> tuple[Image, str]:
    least, most = float(samples.min()), float(samples.max())
    if not (least >= 0 and most <= 0xFFFF):  # so, and not the other way round, no NaN passes
        raise Unscaled(
            f"expected floating point from 0 to 1 (or to 65535), got {least:g} to {most:g}; save it with 8 or 16 bits"
        )
    usual = float(np.quantile(samples, 1 - _SPIKES, method="higher"))
    full = next(full for full in (1, *((1 << depth) - 1 for depth in DEPTHS)) if usual <= full)
    spikes = int(np.count_nonzero(samples > full))
    levels = np.round(np.minimum(samples, full) * (255 / full)).astype(np.uint8)
    white = f", {spikes} brighter samples made white" if spikes else ""
    return _three(levels), f"floating point from 0 to {full}{white}" if most else ""


def _three(levels: Image) -> Image:
    return np.repeat(levels[..., None], 3, axis=2)
