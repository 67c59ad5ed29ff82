"""Text of other people made harmless: for a terminal, and for a spreadsheet that opens a CSV file."""

from __future__ import annotations

import unicodedata

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""What a formula may begin with; in their full width, too, which Excel takes in its East Asian editions."""
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that move the cursor, turn the direction of writing, or break the line."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return the text with every control character spelt out (`\x1b`), so that no name can steer a terminal.

    lines: line ends stay, for a text of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelt(one) if not (lines and one == "\n") else one for one in text)


def has_control_characters(text: str) -> bool:
    """Return whether `printable` would spell something out."""
    return any(unicodedata.category(one) in _UNSEEN for one in text)


def as_cell(text: str) -> str:
    """Return the text as a CSV cell that no spreadsheet runs as a formula: an apostrophe stands before such a text.

    Numbers such as `-3.5` stay as they are. `from_cell` takes the apostrophe away again.
    """
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) and not _is_number(text) else text


def from_cell(text: str) -> str:
    """Return a cell's text without the apostrophe that `as_cell` put before it."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


def _spelt(one: str) -> str:
    if unicodedata.category(one) not in _UNSEEN:
        return one
    code = ord(one)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
