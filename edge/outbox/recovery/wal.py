"""SQLite's write-ahead journal after a start: is it whole, torn by a power cut, or damaged in its middle?

SQLite reads a journal up to the first frame whose checksum is wrong and forgets the rest in silence: right for the
torn end that a power cut leaves, and the silent loss of every later commit where a bit has flipped. The two can be
distinguished: a transaction is only written after the one before it was synced, so whatever follows a broken
transaction proves that it had been whole. Each frame's checksum continues the one before, as it stands in the file, so
the frames behind a broken one can still be verified. Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_HEAD, _FRAME = 32, 24
_MAGICS = (0x377F0682, 0x377F0683)
"""The second one: checksums are taken over big-endian words."""
Sum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class WalState:
    """What was found.

    damaged: a transaction is broken that others follow.
    torn: the newest transaction is broken: a power cut in the middle of a write, or damage to the newest record.
    uncertain: where torn, how many transactions at most are broken at the end. More than one are damage, or the remains
        of an earlier power cut behind a shorter write: nothing tells which.
    """

    damaged: bool = False
    torn: bool = False
    uncertain: int = 0


def inspect_wal(database: Path) -> WalState:
    """Return the state of the journal beside a database; one that is not there is whole."""
    try:
        return judge(database.with_name(database.name + "-wal").read_bytes())
    except OSError:
        return WalState()


def judge(data: bytes) -> WalState:
    """Return the state of a journal's bytes."""
    head, head_whole = _right_head(data)
    if head is None:
        return WalState()
    magic, _, page_size, _, *salts = struct.unpack(">6I", head[:24])
    size = _FRAME + (65536 if page_size == 1 else page_size)
    starts = range(_HEAD, len(data) - size + 1, size)
    frames = [data[at : at + size] for at in starts]
    own = next((n for n, frame in enumerate(frames) if not _belongs(frame, salts)), len(frames))
    frames = frames[:own]
    broken = _broken(frames, head, magic)
    if head_whole and not any(broken):
        return WalState()
    # What a torn write leaves behind is one transaction at most: two in a row were both synced.
    followed = any(any(frame[4:8]) and not after for frame, after in _from_first(frames, broken))
    if followed:
        return WalState(damaged=True)
    return WalState(damaged=not head_whole, torn=True, uncertain=_commits(frames, broken))


def _right_head(data: bytes) -> tuple[bytes | None, bool]:
    """Return the journal's head and whether it was whole; one with a single flipped bit is put right."""
    head = data[:_HEAD]
    if len(head) < _HEAD or not any(head):
        return None, False
    if _is_head(head):
        return head, True
    for bit in range(8 * _HEAD):
        tried = bytearray(head)
        tried[bit // 8] ^= 1 << bit % 8
        if _is_head(bytes(tried)):
            return bytes(tried), False
    return None, False  # torn: nothing behind it is of its time


def _is_head(head: bytes) -> bool:
    magic = int.from_bytes(head[:4], "big")
    return magic in _MAGICS and _sum(head[:24], (0, 0), magic) == struct.unpack(">2I", head[24:])


def _belongs(frame: bytes, salts: list[int]) -> bool:
    """Return whether a frame is of this time: an older one has both salts different, a flipped bit changes one."""
    return any(was == salt for was, salt in zip(struct.unpack(">2I", frame[8:16]), salts, strict=True))


def _broken(frames: list[bytes], head: bytes, magic: int) -> list[bool]:
    """Return for each frame whether it is not what was written, judged by the frame before it as it is now."""
    found, before = [], {struct.unpack(">2I", head[24:])}
    for frame in frames:
        stored = struct.unpack(">2I", frame[16:24])
        sums = {_sum(frame[_FRAME:], _sum(frame[:8], one, magic), magic) for one in before}
        found.append(stored not in sums or frame[8:16] != head[16:24])
        # The bit may have flipped in the page or in the checksum itself: the next frame continues one of the two.
        before = {stored} if stored in sums else {stored, *list(sums)[:2]}
    return found


def _from_first(frames: list[bytes], broken: list[bool]) -> list[tuple[bytes, bool]]:
    """Return the frames from the first broken one on, each with whether the one after it is broken."""
    first = broken.index(True) if True in broken else 0
    return list(zip(frames[first:], broken[first + 1 :], strict=False))


def _commits(frames: list[bytes], broken: list[bool]) -> int:
    """Return how many transactions there are from the first broken frame on, one at least.

    A copy of the commit with which SQLite fills up a sector is none.
    """
    first = broken.index(True) if True in broken else 0
    behind = frames[first:]
    commits = [frame[:8] for frame, after in zip(behind, [*behind[1:], b""], strict=True) if frame[:8] != after[:8]]
    return max(1, sum(any(head[4:]) for head in commits))


def _sum(data: bytes, before: Sum, magic: int) -> Sum:
    """Return SQLite's running checksum over words of 32 bits."""
    first, second = before
    words = struct.unpack(f"{'>' if magic & 1 else '<'}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
