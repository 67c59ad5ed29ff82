"""The one form of a bundle file: a plain ustar archive whose every byte follows from its parts' names and contents.

Nothing before, between or after them: fixed names in fixed order, fixed headers, zeros as padding, the whole filled up
to a multiple of `RECORD` bytes. The reader makes each header anew and compares it, so that two different files never
hold the same parts. That is all that is read of a file before its signature holds; nothing in here follows a
length or a link that the file names without a cap.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO, Final, Literal

from edge.contract.bundle.trust import CHAIN_BEGINS, is_chain
from edge.contract.manifest import AGE, CARD, CENTRES, GOLDEN_INPUTS, GOLDEN_OUTPUTS, PARTS
from edge.errors import BundleError

ENVELOPE: Final = "envelope.json"
TRUST: Final = "trust.json"
"""May stand behind the envelope: the chain of trust statements, which is signed by itself and no part of the model."""
ORDER: Final = (CENTRES, PARTS, AGE, GOLDEN_INPUTS, GOLDEN_OUTPUTS, CARD)
MAX_BYTES: Final = 64_000_000
BLOCK: Final = 512
RECORD: Final = 10_240
"""As tar's own blocking factor, so that any `tar` lists a bundle without a word."""
_CAPS = {ENVELOPE: 4_000_000, TRUST: 4_000_000, CENTRES: 16_000_000, PARTS: 16_000_000, AGE: 32_000_000}
_OTHER_CAP = 4_000_000
_SIZE = slice(124, 136)
_CHECKSUM = slice(148, 156)

HowFar = Literal["whole", "unfinished", "foreign"]


def header(name: str, size: int) -> bytes:
    """Return the 512 bytes before a part: mode 0644, owner, group and time zero, no name of a user."""
    numbers = b"0000644\0" + 2 * b"0000000\0" + b"%011o\0" % size + b"00000000000\0"
    rest = b"0" + bytes(100) + b"ustar\x0000" + bytes(32 + 32 + 8 + 8 + 155 + 12)
    blank = name.encode().ljust(100, b"\0") + numbers + b" " * 8 + rest
    return blank[: _CHECKSUM.start] + b"%06o\0 " % sum(blank) + blank[_CHECKSUM.stop :]


def container_bytes(sizes: Sequence[int]) -> int:
    """Return the length of a container whose parts, the envelope first, have these sizes."""
    end = sum(BLOCK + size + _padding(size) for size in sizes) + 2 * BLOCK
    return -(-end // RECORD) * RECORD


def pack(parts: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the container of the envelope, trust statements if there are any, and the parts, in the fixed order.

    Raises:
        BundleError: other parts, or one above its cap.
    """
    if tuple(name for name, _ in parts if name != TRUST) != (ENVELOPE, *ORDER) or TRUST in {
        name for at, (name, _) in enumerate(parts) if at != 1
    }:
        raise BundleError(f"bundle: expected {', '.join((ENVELOPE, *ORDER))}, got {', '.join(n for n, _ in parts)}")
    for name, content in parts:
        check_size(name, len(content))
    filled = b"".join(header(name, len(content)) + content + bytes(_padding(len(content))) for name, content in parts)
    whole = container_bytes([len(content) for _, content in parts])
    if whole > MAX_BYTES:
        raise BundleError(f"bundle: expected at most {MAX_BYTES} bytes, got {whole}")
    return filled + bytes(whole - len(filled))


def check_size(name: str, size: int) -> None:
    """Refuse a part above its cap.

    Raises:
        BundleError: it is.
    """
    cap = _CAPS.get(name, _OTHER_CAP)
    if size > cap:
        raise BundleError(f"{name}: expected at most {cap} bytes, got {size}")


def read_envelope(file: BinaryIO) -> bytes:
    """Return the envelope at the beginning of a file, and leave the file's position behind it.

    Raises:
        BundleError: no bundle begins so, or the envelope is above its cap.
    """
    raw = file.read(BLOCK)
    size = _size_of(ENVELOPE, raw)
    if size is None:
        if raw.rstrip(b"\0").removeprefix(b"./").startswith((ENVELOPE.encode(), b"./@PaxHeader", b"./@LongLink")):
            raise BundleError("expected a bundle's file as it was built, got a tar that was packed anew; copy the file")
        raise BundleError(f"expected a bundle, which begins with {ENVELOPE}, got {_shown(raw)}")
    check_size(ENVELOPE, size)
    return _content(file, ENVELOPE, size)


def read_trust(file: BinaryIO) -> bytes | None:
    """Return the trust statements behind the envelope, None where there are none; the position is behind them.

    Raises:
        BundleError: they are above their cap or cut short.
    """
    at = file.tell()
    size = _size_of(TRUST, file.read(BLOCK))
    if size is None:
        file.seek(at)
        return None
    check_size(TRUST, size)
    return _content(file, TRUST, size)


def read_part(file: BinaryIO, name: str, size: int) -> bytes:
    """Return the next part, whose size is known from the signed manifest.

    Raises:
        BundleError: another header, another padding, or the file ends too early.
    """
    check_size(name, size)
    if file.read(BLOCK) != header(name, size):
        raise BundleError(f"{name}: expected the header that belongs to its name and its {size} bytes, got another one")
    return _content(file, name, size)


def read_end(file: BinaryIO, sizes: Sequence[int]) -> None:
    """Refuse anything but zeros up to the end that follows from the sizes of all parts, and anything after it.

    Raises:
        BundleError: there is.
    """
    left = container_bytes(sizes) - file.tell()
    if file.read(left + 1) != bytes(left):
        raise BundleError(f"expected {left} zeros after the last part and nothing more, got something else")


def how_far(handle: int) -> HowFar:
    """Return whether an open file is a whole container, the beginning of one, or neither, by its headers alone.

    A list of trust statements is judged likewise, by its beginning and its end. Zeros in the place of a header are a
    beginning too: some programs set a file's length before they write it. Reads at most eight blocks and leaves the
    file's position alone. Says nothing of the contents.
    """
    length, offset, sizes = os.fstat(handle).st_size, 0, []
    if is_chain(os.pread(handle, CHAIN_BEGINS, 0)):
        return "whole" if os.pread(handle, 3, max(0, length - 3)) == b"\n]\n" else "unfinished"
    if length > MAX_BYTES:
        return "foreign"
    for name in (ENVELOPE, TRUST, *ORDER):
        raw = os.pread(handle, BLOCK, offset)
        size = _size_of(name, raw)
        if size is None and name == TRUST and not (_is_begun(TRUST, raw) or not raw.strip(b"\0")):
            continue
        if size is None:
            return "unfinished" if _is_begun(name, raw) or not raw.strip(b"\0") else "foreign"
        if size > _CAPS.get(name, _OTHER_CAP):
            return "foreign"
        sizes.append(size)
        offset += BLOCK + size + _padding(size)
    whole = container_bytes(sizes)
    return "whole" if length == whole else "unfinished" if length < whole else "foreign"


def _is_begun(name: str, raw: bytes) -> bool:
    """Return whether a header of this part is cut off by the end of the file."""
    return len(raw) < BLOCK and raw.startswith(header(name, 0)[: min(len(raw), _SIZE.start)])


def _size_of(name: str, raw: bytes) -> int | None:
    """Return the size in a header, None where the header is not exactly the one of this part and that size."""
    digits = raw[_SIZE][:11]
    if len(raw) != BLOCK or not all(48 <= digit <= 55 for digit in digits):
        return None
    size = int(digits, 8)
    return size if raw == header(name, size) else None


def _content(file: BinaryIO, name: str, size: int) -> bytes:
    content, padding = file.read(size), file.read(_padding(size))
    if len(content) != size or len(padding) != _padding(size):
        raise BundleError(f"{name}: expected {size} bytes, got {len(content)}; the file is cut short")
    if padding.strip(b"\0"):
        raise BundleError(f"{name}: expected zeros between two parts, got something else")
    return content


def _padding(size: int) -> int:
    return -size % BLOCK


def _shown(raw: bytes) -> str:
    return f"{len(raw)} bytes that begin with {raw[:16]!r}" if raw.strip(b"\0") else f"{len(raw)} empty bytes"
