"""JPEG, EXIF, resizing and cutting, with Pillow; files are read by `edge.footage.picture`."""

from __future__ import annotations

import io
import json
import struct
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from edge.version import VERSION
from edge.vision.pixels import Image

_DESCRIPTION, _SOFTWARE, _TAKEN_AT = 0x010E, 0x0131, 0x9003
_EXIF_FOLDER = 0x8769
_ASCII, _LONG = 2, 4


def write_image(path: Path, pixels: Image) -> None:
    """Write uint8 (height, width[, 3]) in the format of the file's ending."""
    Pillow.fromarray(pixels).save(path)


def encode_png(pixels: Image) -> bytes:
    """Return the exact pixels, uint8 (height, width[, 3]), as a PNG."""
    out = io.BytesIO()
    Pillow.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def to_grey(pixels: Image) -> Image:
    """Return uint8 (h, w) grey (ITU-R 601 luma) of a picture, uint8 (h, w, 3); itself where it is grey already."""
    return pixels if pixels.ndim == 2 else np.asarray(_grey(pixels))


def grey_reduced(pixels: Image, width: int) -> Image:
    """Return uint8 (h, w) grey of a picture, uint8 (h, w[, 3]), reduced to `width` with its shape kept.

    Whole factors take Pillow's box reduction, which is six times faster than a general resize; one plane instead of
    three makes it faster again.
    """
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    return np.asarray(_resized(_grey(pixels), width, height))


def resize(pixels: Image, width: int, height: int) -> Image:
    """Return the picture, uint8 (h, w[, 3]), resized to width x height."""
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(_resized(Pillow.fromarray(pixels), width, height))


def cut(pixels: Image, to_main: NDArray[np.float64], width: int, height: int, *, grey: bool = False) -> Image:
    """Return the width x height picture whose pixel (u, v) lies at `to_main @ (u, v, 1)`; black outside.

    Each is the mean of the four pixels nearest to the middles of its quarters: no coarser than bilinear interpolation
    where the scale stays, smoother where it falls, and in Pillow's whole-number arithmetic half its time.
    grey: uint8 (h, w), made before the cut: a third of the work.
    """
    pixels = np.ascontiguousarray(pixels)
    picture = _grey(pixels) if grey else Pillow.fromarray(pixels)
    quarters = to_main.copy()
    quarters[:, :2] /= 2
    size = (2 * width, 2 * height)
    affine = tuple(quarters.ravel().tolist())
    return np.asarray(picture.transform(size, Pillow.Transform.AFFINE, affine, Pillow.Resampling.NEAREST).reduce(2))


def encode_jpeg(pixels: Image, *, width: int, quality: int, max_bytes: int) -> bytes:
    """Return a JPEG of the picture, uint8 (h, w, 3) or (h, w, 4) with a byte unused, reduced to `width`.

    It has at most `max_bytes`: quality falls first, then size.
    """
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    picture = _picture(pixels)
    small = _shrunk(picture, width, height) if width < picture.width else _resized(picture, width, height)
    while True:
        for level in (quality, 60, 40, 25):
            out = io.BytesIO()
            small.save(out, "JPEG", quality=min(level, quality))
            if out.tell() <= max_bytes or small.width <= 16:
                return out.getvalue()
        small = small.resize((max(16, small.width * 3 // 4), max(16, small.height * 3 // 4)))


def with_identity(jpeg: bytes, *, device_id: str, epoch: str, seq: int, captured_at: datetime) -> bytes:
    """Return the same JPEG with its reading's identity in EXIF; the picture's own data is not coded again."""
    identity = {"device_id": device_id, "epoch": epoch, "seq": seq, "captured_at": captured_at.isoformat()}
    block = _exif(
        json.dumps(identity, separators=(",", ":")),
        software=f"cageclock {VERSION}",
        taken_at=captured_at.strftime("%Y:%m:%d %H:%M:%S"),
    )
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    return jpeg[:2] + segment + jpeg[2:]


def _exif(description: str, *, software: str, taken_at: str) -> bytes:
    """Return the APP1 content with the three texts (TIFF 6.0; Exif 2.3, 4.6), ten times faster than Pillow's writer."""
    texts = [text.encode("ascii") + b"\0" for text in (description, software, taken_at)]
    first, inner = 8, 8 + 2 + 3 * 12 + 4  # two folders: three entries, then one
    at = inner + 2 + 12 + 4
    places = [at, at + len(texts[0]), at + len(texts[0]) + len(texts[1])]
    entries = [
        struct.pack("<HHII", tag, _ASCII, len(text), place)
        for tag, text, place in zip((_DESCRIPTION, _SOFTWARE, _TAKEN_AT), texts, places, strict=True)
    ]
    link = struct.pack("<HHII", _EXIF_FOLDER, _LONG, 1, inner)
    end = struct.pack("<I", 0)
    folders = struct.pack("<H", 3) + entries[0] + entries[1] + link + end + struct.pack("<H", 1) + entries[2] + end
    return b"Exif\0\0II*\0" + struct.pack("<I", first) + folders + b"".join(texts)


def _grey(pixels: Image) -> Pillow.Image:
    picture = _picture(pixels)
    return picture if picture.mode == "L" else picture.convert("L")


def _picture(pixels: Image) -> Pillow.Image:
    """Return Pillow's picture of uint8 (h, w[, 3]), or, without a copy, of (h, w, 4) with the last byte ignored."""
    if pixels.ndim == 2 or pixels.shape[2] != 4:
        return Pillow.fromarray(pixels)
    size = (pixels.shape[1], pixels.shape[0])
    return Pillow.frombuffer("RGBX", size, np.ascontiguousarray(pixels), "raw", "RGBX", 0, 1)


def _shrunk(picture: Pillow.Image, width: int, height: int) -> Pillow.Image:
    """Return a smaller picture: each pixel the mean of four, one from each quarter of what it shows."""
    picture = picture.reduce(max(1, picture.width // (2 * width)))
    to_picture = (picture.width / (2 * width), 0.0, 0.0, 0.0, picture.height / (2 * height), 0.0)
    size = (2 * width, 2 * height)
    return picture.transform(size, Pillow.Transform.AFFINE, to_picture, Pillow.Resampling.NEAREST).reduce(2)


def _resized(picture: Pillow.Image, width: int, height: int) -> Pillow.Image:
    factor = picture.width // width
    if factor > 1 and picture.size == (width * factor, height * factor):
        return picture.reduce(factor)
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), Pillow.Resampling.BILINEAR)
