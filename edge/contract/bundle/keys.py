"""Ed25519 keys in PEM files: which public keys may sign bundles, and the private one that does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edge.contract.bundle.demo import DEMO_KEY
from edge.contract.bundle.envelope import new_key_pair
from edge.errors import OperatorError


def read_trusted_keys(paths: Sequence[Path] | None) -> list[bytes]:
    """Return the PEM of each public key; None means only the key of the demo bundle.

    Raises:
        OperatorError: a file cannot be read, or is no public key.
    """
    return [_read_public(path) for path in ((DEMO_KEY,) if paths is None else paths)]


def read_signing_key(path: Path) -> bytes:
    """Return the PEM of the private key.

    Raises:
        OperatorError: the file cannot be read.
    """
    return _read(path, "signing key")


def write_key_pair(private: Path, public: Path) -> None:
    """Write a fresh pair; the private file is readable by its owner only, and never overwritten.

    Raises:
        OperatorError: the private file exists already, or a file cannot be written.
    """
    private_pem, public_pem = new_key_pair()
    try:
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private_pem)
        public.write_bytes(public_pem)
    except FileExistsError as error:
        raise OperatorError(f"{private}: there is a key already; move it away to make another") from error
    except OSError as error:
        raise OperatorError(f"{error.filename}: cannot write the key: {error.strerror}") from error


def _read_public(path: Path) -> bytes:
    """Return the PEM; whether it is an Ed25519 key is seen when it is used."""
    pem = _read(path, "public key")
    if b"-----BEGIN PUBLIC KEY-----" not in pem:
        got = "a private key, which belongs to whoever signs" if b"PRIVATE KEY-----" in pem else "something else"
        raise OperatorError(f"{path}: expected a public key (PEM), got {got}")
    return pem


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path}: cannot read the {what}: {error.strerror}") from error
