"""Stored pictures for browsers, whole or small, without what their EXIF says. Small ones are made once and kept."""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from threading import Lock, Semaphore

from PIL import Image

from station.page.read import Picture

MOST_BYTES = 8 * 2**20
MOST_PIXELS = 40_000_000
KEPT = 2000
"""Small pictures in memory, 3 kB each."""

_small: OrderedDict[tuple[str, int], bytes] = OrderedDict()
_lock = Lock()
_at_once = Semaphore(2)


def read_picture(data: Path, picture: Picture, size: int) -> bytes | None:
    """Return the JPEG with its longer side at most `size` pixels (0: as it is); None where it is gone or no picture.

    It is always encoded anew: what else a file holds, such as where it was taken, is not handed on.
    """
    key = (picture.sha256, size)
    with _lock:
        if key in _small:
            _small.move_to_end(key)
            return _small[key]
    path = (data / picture.path).resolve()
    if not path.is_relative_to((data / "thumbnails").resolve()):
        return None
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    with _at_once:
        made = _encode(content, size)
    if made is not None:
        with _lock:
            _small[key] = made
            while len(_small) > KEPT:
                _small.popitem(last=False)
    return made


def _encode(content: bytes, size: int) -> bytes | None:
    try:
        with Image.open(io.BytesIO(content), formats=["JPEG"]) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                return None
            if size:
                opened.draft("RGB", (2 * size, 2 * size))
            image = opened.convert("RGB")
            if size:
                image.thumbnail((size, size))
            target = io.BytesIO()
            image.save(target, "JPEG", quality=75 if size else 88, optimize=bool(size))
            return target.getvalue()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a hostile file can raise anything in a parser
        return None
