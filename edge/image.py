"""JPEG, EXIF, resizing and cutting: the one owner of Pillow on the device."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from edge.errors import OperatorError
from edge.frame import Image
from edge.version import VERSION

_DESCRIPTION, _SOFTWARE, _TAKEN_AT = 0x010E, 0x0131, 0x9003
_EXIF_FOLDER = 0x8769


def read_image(path: Path) -> Image:
    """Return the picture as uint8 (height, width, 3) RGB.

    Raises:
        OperatorError: the file is missing, truncated or no image.
    """
    try:
        with Pillow.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except FileNotFoundError as error:
        raise OperatorError(f"{path}: expected an image, there is no such file") from error
    except (UnidentifiedImageError, Pillow.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise OperatorError(f"{path}: expected a whole image (PNG, JPEG, ...), got {error}") from error


def write_image(path: Path, pixels: Image) -> None:
    """Write uint8 (height, width[, 3]) in the format of the file's ending."""
    Pillow.fromarray(pixels).save(path)


def encode_png(pixels: Image) -> bytes:
    """Return the exact pixels, uint8 (height, width[, 3]), as a PNG."""
    out = io.BytesIO()
    Pillow.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def grey_reduced(pixels: Image, width: int) -> Image:
    """Return uint8 (h, w) grey of an RGB picture, reduced to `width` with its shape kept.

    Whole factors take Pillow's box reduction, which is six times faster than a general resize; one plane instead of
    three makes it faster again.
    """
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    grey = Pillow.fromarray(pixels).convert("L")
    return np.asarray(_resized(grey, width, height))


def resize(pixels: Image, width: int, height: int) -> Image:
    """Return the picture, uint8 (h, w[, 3]), resized to width x height."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(_resized(Pillow.fromarray(pixels), width, height))


def cut(pixels: Image, to_main: NDArray[np.float64], width: int, height: int, *, grey: bool = False) -> Image:
    """Return the width x height picture whose point (u, v) is the bilinear value at `to_main @ (u, v, 1)`.

    Black outside. grey: uint8 (h, w) of an RGB picture (ITU-R 601 luma).
    """
    picture = Pillow.fromarray(np.ascontiguousarray(pixels))
    if grey:  # before the cut: a third of the work
        picture = picture.convert("L")
    affine = tuple(to_main.ravel().tolist())
    size = (width, height)
    return np.asarray(picture.transform(size, Pillow.Transform.AFFINE, affine, Pillow.Resampling.BILINEAR))


def encode_jpeg(pixels: Image, *, width: int, quality: int, max_bytes: int) -> bytes:
    """Return a JPEG of the picture reduced to `width`, of at most `max_bytes`: quality falls first, then size."""
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    small = _resized(Pillow.fromarray(pixels), width, height)
    while True:
        for level in (quality, 60, 40, 25):
            out = io.BytesIO()
            small.save(out, "JPEG", quality=min(level, quality))
            if out.tell() <= max_bytes or small.width <= 16:
                return out.getvalue()
        small = small.resize((max(16, small.width * 3 // 4), max(16, small.height * 3 // 4)))


def with_identity(jpeg: bytes, *, device_id: str, epoch: str, seq: int, captured_at: datetime) -> bytes:
    """Return the same JPEG with its reading's identity in EXIF; the picture's own data is not coded again."""
    exif = Pillow.Exif()
    identity = {"device_id": device_id, "epoch": epoch, "seq": seq, "captured_at": captured_at.isoformat()}
    exif[_DESCRIPTION] = json.dumps(identity, separators=(",", ":"))
    exif[_SOFTWARE] = f"cageclock {VERSION}"
    exif.get_ifd(_EXIF_FOLDER)[_TAKEN_AT] = captured_at.strftime("%Y:%m:%d %H:%M:%S")
    block = exif.tobytes()
    if not block.startswith(b"Exif\0\0"):
        block = b"Exif\0\0" + block
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    return jpeg[:2] + segment + jpeg[2:]


def _resized(picture: Pillow.Image, width: int, height: int) -> Pillow.Image:
    factor = picture.width // width
    if factor > 1 and picture.size == (width * factor, height * factor):
        return picture.reduce(factor)
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), Pillow.Resampling.BILINEAR)
