"""Ed25519 keys: pairs in PEM files, private ones encrypted with a passphrase where a person keeps them.

A passphrase is stretched with scrypt before PKCS#8 sees it, because PKCS#8 as the library writes it takes 2,048 rounds
of PBKDF2 only, which a stolen file would not withstand for long. The salt stands in a line before the PEM block.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edge.contract.bundle.demo import DEMO_KEY
from edge.errors import OperatorError

ID_LENGTH: Final = 16
_SCRYPT: Final = {"n": 1 << 15, "r": 8, "p": 1, "maxmem": 1 << 26, "dklen": 32}
_SALT = re.compile(rb"^cageclock-scrypt: ([0-9a-f]{32})$", re.MULTILINE)


def new_key_pair(passphrase: bytes | None = None) -> tuple[bytes, bytes]:
    """Return a fresh Ed25519 key pair as PEM: (private, public). passphrase: encrypts the private one."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    head, protection = b"", serialization.NoEncryption()
    if passphrase is not None:
        salt = os.urandom(16).hex().encode()
        head = b"cageclock-scrypt: " + salt + b"\n"
        protection = serialization.BestAvailableEncryption(_stretched(passphrase, salt))  # type: ignore[assignment]
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
    return head + private, key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def is_encrypted(private_pem: bytes) -> bool:
    """Return whether a private key needs a passphrase."""
    return b"BEGIN ENCRYPTED PRIVATE KEY" in private_pem


def open_private(private_pem: bytes, passphrase: bytes | None = None) -> Any:
    """Return the private key of a PEM text.

    Raises:
        OperatorError: no Ed25519 private key, or the passphrase is missing or wrong.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    encrypted = is_encrypted(private_pem)
    if encrypted and passphrase is None:
        raise OperatorError("signing key: it is encrypted; give its passphrase")
    salt = _SALT.search(private_pem)
    secret = _stretched(passphrase, salt[1]) if passphrase is not None and salt is not None else passphrase
    try:
        key = serialization.load_pem_private_key(private_pem, secret if encrypted else None)
    except (ValueError, TypeError) as error:
        if encrypted:
            raise OperatorError("signing key: the passphrase is wrong, or the file is damaged") from error
        raise OperatorError(f"signing key: expected an Ed25519 private key in PEM, got {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise OperatorError(f"signing key: expected Ed25519, got {type(key).__name__}")
    return key


def open_public(pem: bytes) -> Any:
    """Return the public key of a PEM text.

    Raises:
        OperatorError: no Ed25519 public key.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise OperatorError(f"trusted key: expected an Ed25519 public key in PEM, got {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise OperatorError(f"trusted key: expected Ed25519, got {type(key).__name__}")
    return key


def raw_public(key: Any) -> bytes:
    """Return the 32 bytes of a public key."""
    from cryptography.hazmat.primitives import serialization

    raw: bytes = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw


def key_id(key: Any) -> str:
    """Return the name of a public key in envelopes: 16 hexadecimal digits, a quarter of its SHA-256."""
    return id_of_raw(raw_public(key))


def id_of_raw(raw: bytes) -> str:
    """Return the name of a public key of these 32 bytes."""
    return hashlib.sha256(raw).hexdigest()[:ID_LENGTH]


def read_trusted_keys(paths: Sequence[Path] | None) -> list[bytes]:
    """Return the PEM of each public key; None means only the key of the demo bundle.

    Raises:
        OperatorError: a file cannot be read, or is no public key.
    """
    return [read_public(path) for path in ((DEMO_KEY,) if paths is None else paths)]


def read_signing_key(path: Path) -> bytes:
    """Return the PEM of the private key.

    Raises:
        OperatorError: the file cannot be read.
    """
    return _read(path, "signing key")


def write_key_pair(private: Path, public: Path, passphrase: bytes | None = None) -> None:
    """Write a fresh pair; the private file is readable by its owner only, and neither file is ever overwritten.

    Raises:
        OperatorError: a file exists already, or cannot be written.
    """
    private_pem, public_pem = new_key_pair(passphrase)
    for path in (public, private):
        if path.exists():
            raise OperatorError(f"{path}: there is a key already; move it away to make another")
    try:
        with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private_pem)
            file.flush()
            os.fsync(file.fileno())
        public.write_bytes(public_pem)
    except FileExistsError as error:
        raise OperatorError(f"{private}: there is a key already; move it away to make another") from error
    except OSError as error:
        raise OperatorError(f"{error.filename}: cannot write the key: {error.strerror}") from error


def read_public(path: Path) -> bytes:
    """Return the PEM; whether it is an Ed25519 key is seen when it is used.

    Raises:
        OperatorError: the file cannot be read, or is no public key.
    """
    pem = _read(path, "public key")
    if b"-----BEGIN PUBLIC KEY-----" not in pem:
        private = b"PRIVATE KEY-----" in pem
        got = "a private key, which belongs to whoever signs" if private else "something else"
        raise OperatorError(f"{path}: expected a public key (PEM), got {got}")
    return pem


def _stretched(passphrase: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase, salt=salt, **_SCRYPT).hex().encode()


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperatorError(f"{path}: cannot read the {what}: {error.strerror}") from error
