"""The identity that a thumbnail carries in its EXIF, and its file. The station's only user of Pillow."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from edge.contract import jsontext
from edge.errors import MessageError

_IMAGE_DESCRIPTION = 0x010E
_PROBE = ".can-be-written"
_FEW, _AT_ONCE = 3, 8
"""Files and folders that are not worth threads, and the threads for more."""
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class FolderTrouble(Exception):
    """One device's folder of pictures cannot be used, while the folder beside it can be written.

    device: whose. what: a sentence with the path, for a person.
    """

    def __init__(self, device: str, what: str) -> None:
        """Keep the parts; the text is for the journal."""
        self.device, self.what = device, what
        super().__init__(what)


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


def is_there(path: Path, size: int) -> bool:
    """Return whether a file of this size stands there; its content only `verify` reads."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def write_picture(data: Path, place: Path, jpeg: bytes, *, sync: bool = True) -> tuple[Path, bool]:
    """Return the path, relative to `data`, of the file, and whether it is new.

    `place` is the path to use unless it is taken. sync: the file is on the disk before this returns; else it is, as its
    folder in any case, when `sync_pictures` has returned too. A power cut before leaves a file that no row names.
    """
    path = data / place
    if path.exists() and not _holds(path, jpeg):
        # Another epoch with the same first digits, or a file that no row names: never overwritten.
        path = path.with_name(f"{path.stem}-{hashlib.sha256(jpeg).hexdigest()[:16]}.jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(jpeg)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return path.relative_to(data), new


def _holds(path: Path, jpeg: bytes) -> bool:
    """Return whether a file has this content; what cannot be read has another."""
    try:
        return path.stat().st_size == len(jpeg) and path.read_bytes() == jpeg
    except OSError as error:
        if is_of_the_machine(error):
            raise
        return False


def is_of_the_machine(error: OSError) -> bool:
    """Return whether no folder is the cause of an error: no space, no memory, too many open files."""
    return error.errno in _OF_THE_MACHINE


def is_of_one_folder(data: Path, error: OSError) -> bool:
    """Return whether an error is one folder's own: a file beside the devices' folders can be written all the same."""
    if is_of_the_machine(error):
        return False
    probe = data / "thumbnails" / _PROBE
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        with probe.open("wb") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
    except OSError:
        return False
    return True


def remove_pictures(data: Path, paths: list[Path]) -> None:
    """Remove files that no row names, because what wrote them was taken back; one that stays does no harm."""
    for path in paths:
        with suppress(OSError):
            (data / path).unlink()


def sync_pictures(data: Path, files: Sequence[Path], paths: Sequence[Path]) -> None:
    """Make files durable, and the names of `paths`: every folder from the file up to the data folder.

    Side by side, because the disk makes many lasting in the time of one. Each file and folder is asked for its own
    errors, which a sync of the whole file system would not tell.

    Raises:
        OSError: not all of it is lasting; nothing that names it may be committed.
    """
    _sync_all([data / file for file in files])
    sync_folders(data, paths)


def sync_folders(data: Path, paths: Sequence[Path]) -> None:
    """Make the names of files durable: every folder from the file up to the data folder."""
    folders = {parent for path in paths for parent in path.parents}
    _sync_all([data / folder for folder in sorted(folders)])


def _sync_all(paths: Sequence[Path]) -> None:
    if len(paths) < _FEW:
        for path in paths:
            _sync(path)
        return
    from concurrent.futures import ThreadPoolExecutor  # whoever only reads the database starts without it

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(_sync, paths))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
