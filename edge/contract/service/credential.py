"""Where a secret lies, and how it is read: a file, or `credential:NAME`, which systemd's LoadCredential gives one unit.

One reader for every program: two that strip a file differently log in with two passwords.
"""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from edge.contract.unreachable import is_passing
from edge.errors import NetworkError, OperatorError

_PREFIX = "credential:"
_MOST_BYTES = 65_536
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def secret_path(place: str, key: str) -> Path:
    """Return the file that the setting `key` means by `place`. Only the path: nothing is read here.

    Raises:
        OperatorError: it is a credential, and this process runs in no unit that was given any.
    """
    if not place.startswith(_PREFIX):
        return Path(place)
    name = place.removeprefix(_PREFIX)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise OperatorError(
            f"{key}: {place} needs systemd's LoadCredential={name}:<file> in the unit; none is given. "
            "Outside of the unit, try it through systemd-run with the same LoadCredential"
        )
    return Path(folder) / name


def read_password(place: str | None, key: str) -> str | None:
    """Return the password that a file's one line holds, None where no file is named; no message shows any of it.

    The file is UTF-8, or UTF-16 with its mark, as editors on Windows write it; the line's end is not the password's.

    Raises:
        OperatorError: the file cannot be read, or holds something that could be read in two ways.
        NetworkError: it cannot be read at the moment.
    """
    if place is None:
        return None
    path = secret_path(place, key)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        text = f"{key}: {path} cannot be read: {error.strerror or type(error).__name__}"
        raise (NetworkError(text) if is_passing(error) else OperatorError(text)) from error
    try:
        return _password(content)
    except ValueError as error:
        raise OperatorError(f"{key}: {path}: {error}") from error


def _password(content: bytes) -> str:
    """Return the password.

    Raises:
        ValueError: a sentence on what was expected.
    """
    if len(content) > _MOST_BYTES:
        raise ValueError("expected one line with the password, got a file of more than 64 kB")
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8 text, got bytes of another encoding; save it as UTF-8") from None
    line, *more = text.splitlines() or [""]
    if any(one.strip() for one in more):
        raise ValueError("expected one line with the password, got more lines; remove the others")
    if not line.strip():
        raise ValueError("expected one line with the password, got none")
    if line != line.strip():
        ends = [where for where, cut in (("begins", line.lstrip()), ("ends", line.rstrip())) if cut != line]
        raise ValueError(
            f"the line {' and '.join(ends)} with a blank (a space or a tab), which an editor may have left there; "
            "remove it. If it belongs to the password, give this user another one on the broker, without blanks at its "
            "ends: many programs cut them off, and then nobody can log in"
        )
    if not line.isprintable():
        raise ValueError("the line holds a character that cannot be seen, such as a NUL; write it anew as UTF-8")
    return line
