"""The identity that a thumbnail carries in its EXIF, and its file. The station's only user of Pillow."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from edge.contract import jsontext
from edge.errors import MessageError

_IMAGE_DESCRIPTION = 0x010E


def read_exif_identity(jpeg: bytes) -> dict[str, Any] | None:
    """Return the JSON object of the EXIF's ImageDescription, None where there is none. No pixel is decoded.

    Raises:
        MessageError: the bytes are no JPEG that Pillow can open.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a device must not write into the journal what its EXIF lacks
            with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
                text = picture.getexif().get(_IMAGE_DESCRIPTION)
    except MemoryError:
        raise  # the machine's, never the picture's: a device must not release what the station had no room for
    except Exception as error:  # a hostile file can raise anything in a parser
        raise MessageError(f"expected a JPEG, got one that cannot be opened: {error}") from error
    if not isinstance(text, str):
        return None
    try:
        found = jsontext.parse(text)
    except MessageError:
        return None
    return found if isinstance(found, dict) else None


def write_picture(data: Path, place: Path, jpeg: bytes) -> tuple[Path, bool]:
    """Return the path, relative to `data`, of the durable file, and whether it is new.

    `place` is the path to use unless it is taken. The file is on disk before this returns; its folder is when
    `sync_folders` has returned too.
    """
    path = data / place
    if path.exists() and path.read_bytes() != jpeg:
        # Another epoch with the same first digits, or a file that no row names: never overwritten.
        path = path.with_name(f"{path.stem}-{hashlib.sha256(jpeg).hexdigest()[:16]}.jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(jpeg)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return path.relative_to(data), new


def remove_pictures(data: Path, paths: list[Path]) -> None:
    """Remove files that no row names, because what wrote them was taken back; one that stays does no harm."""
    for path in paths:
        with suppress(OSError):
            (data / path).unlink()


def sync_folders(data: Path, paths: list[Path]) -> None:
    """Make the names of files durable: every folder from the file up to the data folder."""
    folders = {parent for path in paths for parent in path.parents}
    for folder in sorted(folders):
        descriptor = os.open(data / folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
