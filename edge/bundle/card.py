"""A bundle on a stick or the boot partition: carried into the inbox, its result written beside it for a person to read.

The file is removed only once its result is durable in the history. Whoever carries it looks into nothing: the copy is
capped, and the bundle unit judges it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from edge.bundle.history import Entry, read_history
from edge.bundle.inbox import KINDS
from edge.bundle.wish import INBOX
from edge.config.tree import Config
from edge.contract.bundle.container import MAX_BYTES
from edge.contract.service.unexpected import Unexpected
from edge.errors import BundleError, CageclockError, DeviceError, OperatorError
from edge.outbox.lock import WriterLock

RESULT = ".result.txt"
WAIT_S = 600.0
MOST_FILES = 20
_PREFIX = "card-"
_KNOWN = ".card-known"
_CHUNK = 1 << 20
_WORDS = {
    "installed": "It is installed. It is on trial first; `cageclock bundle status` says when it has proved itself.",
    "active already": "It was installed already; nothing was to be done.",
    "refused": "It was REFUSED, and nothing has changed.",
    "rolled back": "The device went back to the model before.",
    "shadow": "It runs beside the active model now, and is not installed.",
    "shadow ended": "It runs beside the active model no longer.",
}


def carry(config: Config, folder: Path, *, wait_s: float = WAIT_S, pause: Callable[[], None] | None = None) -> int:
    """Carry every bundle and file of trust statements of a folder into the inbox; return how many were refused.

    pause: called while a result is waited for; by default half a second goes by.

    Raises:
        OperatorError: the folder or the inbox cannot be used.
        BundleError: the history is damaged.
        DeviceError: a file could not be carried for a reason that nobody foresaw; the others were.
    """
    if not folder.is_dir():
        raise OperatorError(f"{folder}: there is no such folder; is the stick in, and mounted?")
    state_dir = Path(config.state_dir)
    inbox = state_dir / INBOX
    lock = WriterLock(inbox / ".card-lock", os.fspath(inbox))
    refused, failed, unexpected = 0, "", Unexpected("bundle card")
    try:
        known = _known(inbox)
        for path in found_in(folder):
            if _mark(path) in known:
                continue  # its result is known, and neither could be written there nor the file removed
            try:
                entry = _carried(state_dir, inbox, path, wait_s, pause or (lambda: time.sleep(0.5)))
            except CageclockError:
                raise
            except Exception as error:  # noqa: BLE001 - the next file may do better
                failed = f"{path.name}: {unexpected.note(error)[0]}"
                _write_result(path, [f"It cannot be carried to the device: {failed}. It is tried again."])
                continue
            refused += entry is not None and entry.result == "refused"
    finally:
        lock.release()
    if failed:
        raise DeviceError(failed)
    return refused


def found_in(folder: Path) -> list[Path]:
    """Return what a folder has for the device, statements first; hidden files are an editor's or a Mac's."""
    found = [path for kind in KINDS for path in sorted(folder.glob(kind)) if not path.name.startswith(".")]
    return found[:MOST_FILES]


def _carried(state_dir: Path, inbox: Path, path: Path, wait_s: float, pause: Callable[[], None]) -> Entry | None:
    """Return the result of one file, None where there is none within the time; the file stays then."""
    name = _PREFIX + path.name
    entries = read_history(state_dir).entries
    newest = entries[-1].number if entries else 0
    try:
        _copy(path, inbox / f".{name}", inbox / name)
    except OSError as error:
        _write_result(path, [f"It cannot be carried to the device: {error.strerror}. It is tried again."])
        return None
    until_s = time.monotonic() + wait_s
    entry: Entry | None = None
    while (entry := _result(state_dir, name, newest)) is None or (inbox / name).exists():
        if time.monotonic() > until_s:
            why = f" ({entry.reason})" if entry is not None else ""
            _write_result(path, [f"The device has not taken it within {wait_s:g} s{why}. Leave the stick in."])
            return None
        pause()
    mark = _mark(path)
    if _write_result(path, [_WORDS.get(entry.result, entry.result), *([entry.reason] if entry.reason else [])]):
        with contextlib.suppress(OSError):
            path.unlink()
    if path.exists():
        with contextlib.suppress(OSError):
            (inbox / _KNOWN).write_text("".join(f"{one}\n" for one in [*_known(inbox), mark][-100:]))
    return entry


def _mark(path: Path) -> str:
    """Return what names a file that lies unchanged."""
    try:
        state = path.stat()
    except OSError:
        return ""
    return f"{state.st_size} {state.st_mtime_ns} {os.fsencode(path.name).hex()}"


def _known(inbox: Path) -> list[str]:
    try:
        return (inbox / _KNOWN).read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _copy(path: Path, fresh: Path, target: Path) -> None:
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        state = os.fstat(source)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(0, "it is no ordinary file")
        if state.st_size > MAX_BYTES:
            raise OSError(0, f"it has {state.st_size} bytes, of at most {MAX_BYTES}")
        fresh.unlink(missing_ok=True)
        owner = target.parent.stat()
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:
            left = MAX_BYTES
            while left > 0 and (chunk := os.read(source, min(_CHUNK, left))):
                file.write(chunk)
                left -= len(chunk)
            file.flush()
            os.fchmod(file.fileno(), 0o640)
            with contextlib.suppress(OSError):  # as root: the file is the inbox owner's, as all others there
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fsync(file.fileno())
        os.replace(fresh, target)
    finally:
        os.close(source)
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def _result(state_dir: Path, name: str, newest: int) -> Entry | None:
    try:
        entries = read_history(state_dir).entries
    except BundleError:
        return None  # it is reported in the log of the bundle unit; the file waits
    after = (one for one in reversed(entries) if one.number > newest and one.file == name)
    return next((one for one in after if one.result != "waiting"), None)


def _write_result(path: Path, lines: list[str]) -> bool:
    """Return whether the result stands durably beside the file, in words."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    text = "\r\n".join([path.name, f"{at} (by the device's clock)", "", *lines, ""])
    target = path.with_name(f"{path.name}{RESULT}")
    fresh = path.with_name(f"{path.name}.new.txt")
    try:
        with fresh.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, target)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        return False  # a stick that cannot be written keeps its file; it is known at the next look
    return True
