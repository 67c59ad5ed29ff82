"""What an earlier version kept in one state folder, moved into the folder of the process that writes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edge.config.state_folder import CAPTURE, DELIVERY, OUTBOX, PUBLISH
from edge.errors import DeviceError, OperatorError, StorageError
from edge.outbox.lock import WriterLock

_OWN = {
    CAPTURE: (
        f"{OUTBOX}*",
        "outbox.lock",
        "thumbnails",
        "archive",
        "capture.json",
        "trial.json",
        "shadow-run.json",
        "reserve",
    ),
    PUBLISH: (f"{DELIVERY}*", "delivery.lock", "model-desired.json"),
}
_VIEWS = "reference-*.npy"
_DATABASE = {CAPTURE: OUTBOX, PUBLISH: DELIVERY}
_LOCK = {CAPTURE: "outbox.lock", PUBLISH: "delivery.lock"}


def move_into_folders(state_dir: Path) -> Iterator[str]:
    """Move the files of each process that lie in the state folder itself, yielding one sentence for each process.

    The database goes last: a power cut in between is taken up by the next call. Owner and rights of a new folder are
    left to `systemd-tmpfiles`.

    Raises:
        OperatorError: a process still writes there, or there is another database in its place already.
        DeviceError: a file cannot be moved.
    """
    for owner, database in _DATABASE.items():
        if (state_dir / database).is_file():
            yield _move(state_dir, owner)


def _move(state_dir: Path, owner: str) -> str:
    own, database = state_dir / owner, _DATABASE[owner]
    if own.is_symlink():
        raise OperatorError(f"{own} is a link, expected a folder or nothing; remove it")
    there = own / database
    if there.exists() and there.stat().st_size > 0:
        raise OperatorError(f"{state_dir / database} and {there} both hold records; move the one that is not used away")
    try:
        lock = WriterLock(state_dir / _LOCK[owner], str(state_dir / database))
    except StorageError as error:
        raise OperatorError(f"{error}; a link is not followed") from error
    except OperatorError as error:
        raise OperatorError(
            f"{error}: systemctl stop cageclock-capture cageclock-publish, then run this again"
        ) from error
    try:
        own.mkdir(exist_ok=True)
        patterns = (*_OWN[owner], _VIEWS) if owner == CAPTURE else _OWN[owner]
        found = {path for pattern in patterns for path in state_dir.glob(pattern)}
        for path in sorted(found, key=lambda path: (path.name == database, path.name)):
            _move_one(path, own)
    except OSError as error:
        raise DeviceError(f"{error.filename}: {error.strerror}") from error
    finally:
        lock.release()
    return f"{own}: {len(found)} files and folders of {owner} moved here from {state_dir}"


def _move_one(path: Path, own: Path) -> None:
    place = own / path.name
    if place.is_dir() and not any(place.iterdir()):
        place.rmdir()  # made beforehand for nothing
    os.replace(path, place)
