"""From a table's bytes to its text: UTF-8, UTF-16 and UTF-32 with their marks, Windows-1252, old Macintosh."""

from __future__ import annotations

import codecs
import re

from edge.errors import OperatorError

# UTF-32's mark begins with that of UTF-16, so it comes first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FOREIGN = (
    (b"PK", "a workbook (xlsx, ods) or another zip file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (xls)"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip file"),
)
_NUL, _CONTROL = re.compile("\0"), re.compile(r"[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f]")
_SAVE = "save it as CSV UTF-8"


def decode(content: bytes, source: str, *, controls: bool = False) -> tuple[str, str, str]:
    """Return the text, the name of its encoding, and a sentence where that was a guess ("" where it is certain).

    Bytes that are no UTF-8 are Windows-1252, which holds Latin-1; with the line ends of an old Macintosh, Mac Roman.
    controls: control characters but NUL are let through, for a caller who refuses them row by row.

    Raises:
        OperatorError: a workbook or another binary file, an encoding that is none of these, a control character.
    """
    for start, what in _FOREIGN:
        if content.startswith(start) and b"\0" in content[:4096]:
            raise OperatorError(f"{source}: expected a CSV table as text, got a binary file, {what}; save it as CSV")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), _without_mark(content))
    note = ""
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            line = content[: error.start].count(b"\n") + 1
            text = (
                f"{source}: line {line}: expected {encoding}, as the file's first bytes say, got other bytes; {_SAVE}"
            )
            raise OperatorError(text) from error
        text, encoding, note = _of_one_byte(content, error.start, source)
    text = text.removesuffix("\x1a")  # DOS programs end a file with it
    found = (_NUL if controls else _CONTROL).search(text)
    if found is not None:
        line = len(re.findall(r"\r\n|\n|\r", text[: found.start()])) + 1
        what = "a NUL byte" if found[0] == "\0" else f"the control character {found[0]!r}"
        text = f"{source}: line {line}: expected text, got {what}: a binary or damaged file; {_SAVE} again"
        raise OperatorError(text)
    return text, encoding, note


def _without_mark(content: bytes) -> str:
    """Return UTF-16 where every other byte of the beginning is NUL, as in Western text, else UTF-8."""
    head = content[: 4096 - len(content) % 2] if len(content) < 4096 else content[:4096]
    first, second = head[0::2].count(0), head[1::2].count(0)
    many = 0.4 * len(head) / 2
    if len(head) >= 4 and len(content) % 2 == 0:
        if second > many and first == 0:
            return "utf-16-le"
        if first > many and second == 0:
            return "utf-16-be"
    return "utf-8"


def _of_one_byte(content: bytes, at: int, source: str) -> tuple[str, str, str]:
    """Return text, encoding and note of bytes that are no UTF-8, the first of them at `at`."""
    old_mac = b"\r" in content and b"\n" not in content
    encoding, said = ("mac_roman", "old Macintosh (Mac Roman)") if old_mac else ("cp1252", "Windows-1252 (Latin-1)")
    line = len(re.findall(rb"\r\n|\n|\r", content[:at])) + 1
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        text = f"{source}: line {line}: expected UTF-8 or Windows-1252, got byte 0x{content[error.start]:02x}; {_SAVE}"
        raise OperatorError(text) from error
    start = max(content.rfind(one, 0, at) for one in (b",", b";", b"\t", b"\n", b"\r", b" ", b'"')) + 1
    word = re.split(r'[,;\t\r\n "]', content[start : start + 60].decode(encoding, "replace"))[0][:30]
    return text, encoding, f"is no UTF-8; read as {said}: is '{word}' in line {line} right? If not, {_SAVE}"
