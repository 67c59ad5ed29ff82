"""Whether a PNM file (PBM, PGM, PPM, PFM) holds several pictures, one behind the other, as its format allows."""

from __future__ import annotations

import re
from typing import BinaryIO

_SPACE = rb"(?:\s|#[^\n]*\n)+"
_HEADER = re.compile(
    rb"P(?P<kind>[1-6fF])"
    + _SPACE
    + rb"(?P<width>\d+)"
    + _SPACE
    + rb"(?P<height>\d+)(?:"
    + _SPACE
    + rb"(?P<most>[-+\d.eE]+))?"
)
_NEXT = re.compile(rb"\s*P[1-7fF]\s")
_PLAIN_NEXT = re.compile(rb"\sP[1-7fF]\s")
_CHANNELS = {b"4": 1, b"5": 1, b"6": 3, b"f": 1, b"F": 3}


def another_follows(file: BinaryIO) -> bool:
    """Return whether another picture begins behind the first one; Pillow opens that without a word on the rest."""
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    header = _HEADER.match(content)
    if header is None:
        return False
    kind = header["kind"]
    if kind in b"123":
        return _PLAIN_NEXT.search(content, header.end()) is not None
    width, height = int(header["width"]), int(header["height"])
    if kind == b"4":
        # A bitmap has no greatest value: what was matched as one are pixels.
        return _NEXT.match(content, header.end("height") + 1 + (width + 7) // 8 * height) is not None
    wide = 4 if kind in b"fF" else 2 if header["most"] is not None and float(header["most"]) > 255 else 1
    return _NEXT.match(content, header.end() + 1 + width * height * _CHANNELS[kind] * wide) is not None
