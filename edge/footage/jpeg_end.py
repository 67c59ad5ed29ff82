"""Whether a JPEG's coded pixels go on to its last row: decoders fill what is missing and say nothing.

A JPEG that was cut off lacks its end marker, which Pillow reports. But some programs put one behind what they have got,
and a fault in a file may put one into the middle. Then the rest of the picture is grey, or streaks of the last row.
"""

from __future__ import annotations

import io
import re
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_HUFFMAN, _END, _SCAN, _RESTARTS = (0xC0, 0xC1, 0xC2), 0xD9, 0xDA, 0xDD
_BARE = (0x01, *range(0xD0, 0xD9))
_MORE_BITS = (bytes(range(1, 128, 2)), bytes(range(254, 0, -2)), bytes(64), b"\x5a\x93\x2c\x71" * 32)
"""What is put behind the coded pixels. Where these are whole, a decoder passes over it; else it makes pixels of it.

A progressive one may read of one of them that nothing more is to come, so that several are tried.
"""


def ends_early(data: bytes, pixels: NDArray[np.uint8]) -> bool:
    """Return whether a JPEG's coded pixels end before its last row; `pixels` as Pillow decoded it.

    ITU-T T.81, annexes B and F: after the last block nothing is decoded. What is not coded by Huffman's method, or
    cannot be followed here, counts as whole.
    """
    found = _last_scan(data)
    if found is None:
        return False
    end, restarts, expected, progressive = found
    if restarts < expected:
        return True
    tries = _MORE_BITS if progressive else _MORE_BITS[:1]
    return any(_decodes_otherwise(data[:end] + more + b"\xff\xd9", pixels) for more in tries)


def _decodes_otherwise(data: bytes, pixels: NDArray[np.uint8]) -> bool:
    try:
        with Pillow.open(io.BytesIO(data), formats=["JPEG"]) as picture:
            return not np.array_equal(np.asarray(picture), pixels)
    except Exception:  # noqa: BLE001 - the picture itself was decoded; this one is our own making
        return False


def _last_scan(data: bytes) -> tuple[int, int, int, bool] | None:
    """Return where the last scan's coded pixels end, how many restart markers they have, and how many they should.

    And whether the JPEG is progressive.
    """
    at, interval, frame, progressive = 2, 0, b"", False
    scan: tuple[int, int, int, bool] | None = None
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == 0xFF or kind in _BARE:
            at += 1 if kind == 0xFF else 2
            continue
        if kind == _END:
            return scan
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if kind in _HUFFMAN:
            frame, progressive = body, kind == 0xC2
        elif kind == _RESTARTS and len(body) >= 2:
            (interval,) = struct.unpack(">H", body[:2])
        elif kind == _SCAN:
            end = _MARKER.search(data, at)
            if end is None or len(frame) < 6:
                return None
            coded = data[at : end.start()]
            expected = -(-_units(frame, body) // interval) - 1 if interval else 0
            scan = end.start(), len(_RESTART.findall(coded)), expected, progressive
            at = end.start()
    return scan if at + 2 <= len(data) and data[at : at + 2] == b"\xff\xd9" else None


def _units(frame: bytes, scan: bytes) -> int:
    """Return how many coded units (MCUs) a scan has; 0 where its head makes no sense."""
    height, width, parts = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big"), frame[5]
    sampling = {frame[6 + 3 * n]: frame[7 + 3 * n] for n in range(parts) if 8 + 3 * n <= len(frame)}
    if (
        not sampling
        or not scan
        or 0 in (width, height)
        or any(not one >> 4 or not one & 15 for one in sampling.values())
    ):
        return 0
    most_h, most_v = max(one >> 4 for one in sampling.values()), max(one & 15 for one in sampling.values())
    if scan[0] > 1:
        return -(-width // (8 * most_h)) * -(-height // (8 * most_v))
    own = sampling.get(scan[1], 0x11) if len(scan) > 1 else 0x11
    own_width, own_height = -(-width * (own >> 4) // most_h), -(-height * (own & 15) // most_v)
    return -(-own_width // 8) * -(-own_height // 8)
