"""A small file that is written in place, over and over, and never synced: two slots, of which the older gives way.

ext4 flushes the card where one file is renamed over another, so that replacing a file costs a dozen blocks and two
flushes each time; a block that is overwritten costs itself. A write that a power cut tears shows in the slot's
checksum, and the other slot still holds what was written before.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

SLOT = 8192
"""Bytes: two blocks of the usual card; what is larger is kept in the former way."""
_MARK, _DIGITS = b"cageclock-slot", 20
_HEAD = len(_MARK) + 1 + _DIGITS + 1 + 6 + 1 + 32 + 1


@dataclass(frozen=True, slots=True)
class _Slot:
    """What a slot holds: the number of its write, 0 for one that holds nothing whole, and the content."""

    number: int
    content: bytes


def read_slots(path: Path) -> bytes:
    """Return what was written last, and whole; the whole file where it has no slots; b"" where no slot is whole.

    Raises:
        OSError: the file is not there or cannot be read.
    """
    held = path.read_bytes()
    if not _has_slots(held):
        return held
    return max(_slots(held), key=lambda slot: slot.number).content


def fits(content: bytes) -> bool:
    """Return whether a slot is large enough for a content."""
    return len(content) <= SLOT - _HEAD


def write_slots(path: Path, content: bytes) -> None:
    """Write over the older slot. The file is made, or replaced, where it has no slots, or the content fits in none.

    Raises:
        OSError: it cannot be written, or the disk is full; what was there before still is.
    """
    if not fits(content):
        _replace(path, content)
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        _replace(path, _coded(1, content).ljust(2 * SLOT, b"\0"))
        return
    try:
        held = os.pread(handle, 2 * SLOT + 1, 0)
        if _has_slots(held):
            first, second = _slots(held)
            number = max(first.number, second.number) + 1
            place = 0 if first.number < second.number else SLOT
            os.pwrite(handle, _coded(number, content), place)
            return
    finally:
        os.close(handle)
    _replace(path, _coded(1, content).ljust(2 * SLOT, b"\0"))


def _has_slots(held: bytes) -> bool:
    return len(held) == 2 * SLOT and (held.startswith(_MARK) or held[SLOT:].startswith(_MARK))


def _slots(held: bytes) -> tuple[_Slot, _Slot]:
    return _decoded(held[:SLOT]), _decoded(held[SLOT:])


def _coded(number: int, content: bytes) -> bytes:
    numbers = f"{number:0{_DIGITS}d} {len(content):06d}".encode()
    return b"%s %s %s\n%s" % (_MARK, numbers, _checksum(numbers + content), content)


def _decoded(slot: bytes) -> _Slot:
    head, content = slot[:_HEAD], slot[_HEAD:]
    try:
        mark, number, length, checksum = head[:-1].split(b" ")
        content = content[: int(length)]
        if mark == _MARK and checksum == _checksum(number + b" " + length + content):
            return _Slot(int(number), content)
    except ValueError:  # torn, or never written
        pass
    return _Slot(0, b"")


def _checksum(content: bytes) -> bytes:
    """Return 128 bits as 32 hex digits: against chance and not against malice."""
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()


def _replace(path: Path, content: bytes) -> None:
    """Put a new file in place of the one that is there; a full disk leaves that one."""
    temporary = path.with_name(f".{path.name}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
