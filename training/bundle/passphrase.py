"""The passphrase of a private key: from a file, or asked of the person at the terminal; never from the command line."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Final

from edge.contract.bundle.keys import is_encrypted, read_signing_key
from edge.errors import OperatorError

SHORTEST: Final = 12


def new_passphrase(file: Path | None) -> bytes:
    """Return a passphrase for a new key, asked for twice where no file gives it.

    Raises:
        OperatorError: it is too short, the two differ, or there is nobody to ask.
    """
    phrase = _read(file) if file is not None else _ask("passphrase for the new key: ")
    if len(phrase) < SHORTEST:
        raise OperatorError(f"passphrase: expected at least {SHORTEST} characters, got {len(phrase)}")
    if file is None and _ask("the same once more: ") != phrase:
        raise OperatorError("passphrase: the two differ; nothing was made")
    return phrase.encode()


def unlocked(key: Path, file: Path | None) -> tuple[bytes, bytes | None]:
    """Return a private key (PEM) and its passphrase, None where it needs none.

    Raises:
        OperatorError: the key or the file cannot be read, or there is nobody to ask.
    """
    pem = read_signing_key(key)
    if not is_encrypted(pem):
        return pem, None
    return pem, (_read(file) if file is not None else _ask(f"passphrase of {key}: ")).encode()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{file}: cannot read the passphrase: {error}") from error


def _ask(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise OperatorError("passphrase: there is no terminal to ask at; give --passphrase-file FILE")
    return getpass.getpass(prompt)
