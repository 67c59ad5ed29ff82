"""Stored pictures as people see them, in 8 bits: the one reader of picture files."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from edge.errors import UnreadablePicture
from edge.footage.depth import StoredSamples, Unscaled, eight_bits
from edge.footage.folder import why_absent
from edge.footage.jpeg_end import ends_early
from edge.footage.pnm import another_follows
from edge.footage.turn import UPRIGHT, turn_of_exif
from edge.vision.frame import Image

MOST_PIXELS = 100_000_000
"""A picture of more is refused before it is decoded: a few kilobytes may state any size."""
_FORMATS = ("PNG", "JPEG", "MPO", "TIFF", "BMP", "DIB", "WEBP", "GIF", "PPM", "JPEG2000", "AVIF")
_ORIENTATION, _SUBFILE, _OLD_SUBFILE, _DESCRIPTION = 0x0112, 254, 255, 270
_STACK = re.compile(r"^ImageJ=.*^images=(\d+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """An upright picture. pixels: uint8 (height, width, 3) RGB. depth: how it was scaled where the file states none."""

    pixels: Image
    depth: str = ""


def read_image(path: Path) -> Image:
    """Return the picture as uint8 (height, width, 3) RGB, upright.

    Raises:
        UnreadablePicture: as `read_picture`.
    """
    return read_picture(path).pixels


def read_picture(path: Path) -> Picture:
    """Return the picture upright by its EXIF orientation, whatever the container, and scaled to 8 bits.

    Transparency is laid on black; an alpha channel that is the same everywhere is ignored. Samples of more than 8
    bits are scaled by `edge.footage.depth`.

    Raises:
        UnreadablePicture: the file is missing, damaged, no picture, several pages, too large, or of a depth that
            nobody can scale rightly; the text names it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same text comes as an error where it matters
            absent = why_absent(path)
            if absent:
                raise UnreadablePicture(f"{path} {absent}; expected an image")
            if not path.is_file():  # opening a pipe would wait for a writer for ever
                raise _Refused("expected a whole image file, got something else (a folder, a pipe or a device)")
            # From an open file, because Pillow maps a named one and then does not turn an uncompressed TIFF.
            with path.open("rb") as file, Pillow.open(file, formats=_formats()) as picture:
                return _read(picture, file)
    except UnreadablePicture:
        raise
    except UnidentifiedImageError as error:
        raise UnreadablePicture(f"{path}: expected a whole image (PNG, JPEG, TIFF, ...), got {_look(path)}") from error
    except _Refused as refused:
        raise UnreadablePicture(f"{path}: {refused}") from refused
    except Exception as error:
        got = str(error).replace(str(path), "it") or type(error).__name__
        raise UnreadablePicture(f"{path}: expected a whole image (PNG, JPEG, TIFF, ...), got {got}") from error


class _Refused(Exception):
    """A whole picture that is not looked at, and why."""


def _read(picture: Pillow.Image, file: BinaryIO) -> Picture:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        most = MOST_PIXELS // 1_000_000
        raise _Refused(f"expected a whole image of at most {most} megapixels, got {width}x{height}")
    _check_pages(picture, file)
    stored = StoredSamples.of(picture)
    picture.load()
    if picture.format in ("JPEG", "MPO"):
        file.seek(0)
        if ends_early(file.read(), np.asarray(picture)):
            raise _Refused("expected a whole image, got a JPEG whose coded pixels end before its last row")
    # A TIFF is turned by Pillow itself while it loads, and up to Pillow 9 reports afterwards that it is not.
    turn = UPRIGHT if picture.format == "TIFF" else turn_of_exif(picture.getexif().get(_ORIENTATION))
    try:
        pixels, depth = eight_bits(picture, stored)
    except Unscaled as error:
        raise _Refused(str(error)) from error
    return Picture(turn.of(pixels), depth)


def _check_pages(picture: Pillow.Image, file: BinaryIO) -> None:
    """Refuse several pages: which of them is meant? Previews within a JPEG or a TIFF are no pages."""
    if picture.format == "MPO":
        return
    if picture.format == "PPM" and another_follows(file):
        raise _Refused("expected one picture, got several in one PNM file; save each as its own file, or as a video")
    if picture.format != "TIFF":
        if getattr(picture, "is_animated", False):
            count = getattr(picture, "n_frames", 2)
            raise _Refused(f"expected one picture, got {count} in one file; save each as its own, or as a video")
        return
    more = "expected one picture, got a TIFF of several pages; save each page as its own file, or as a video"
    stack = _STACK.search(str(picture.tag_v2.get(_DESCRIPTION, "")))  # type: ignore[attr-defined]
    if stack is not None and int(stack[1]) > 1:
        raise _Refused(more)
    try:
        for page in range(1, 100):
            picture.seek(page)
            tags = picture.tag_v2  # type: ignore[attr-defined]
            if not tags.get(_SUBFILE, 0) & 0b101 and tags.get(_OLD_SUBFILE, 1) != 2:  # no smaller copy, and no mask
                raise _Refused(more)
    except EOFError:
        pass
    picture.seek(0)


def _look(path: Path) -> str:
    """Return what a file that is no picture looks like."""
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        return "an empty file"
    if head[4:8] == b"ftyp":
        brand = head[8:12].decode("ascii", "replace")
        return f"a file of the kind '{brand}', which is not read here; save it as JPEG or PNG"
    if head[:4] == b"\0\5\x16\7":
        return "what macOS keeps beside a file on foreign disks (AppleDouble)"
    if not head.strip(b"\0"):
        return "zero bytes"
    text = head.decode("latin-1").split("\n")[0][:40]
    return f"text, '{text}'" if text.isprintable() else "data of no kind that is read here"


@cache
def _formats() -> tuple[str, ...]:
    """Return what may be opened: the formats of pictures that Pillow was built with, never one that runs a program."""
    Pillow.init()
    return tuple(name for name in _FORMATS if name in Pillow.OPEN)
