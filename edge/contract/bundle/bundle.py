"""A bundle file, read with caps and believed only once its signature and digests hold."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import msgspec

from edge.contract import jsontext
from edge.contract.bundle.container import (
    ENVELOPE,
    MAX_BYTES,
    ORDER,
    check_size,
    container_bytes,
    pack,
    read_end,
    read_envelope,
    read_part,
)
from edge.contract.bundle.envelope import sign, signed_bytes, verify
from edge.contract.manifest import Manifest, Part
from edge.errors import BundleError, MessageError

__all__ = ["MAX_BYTES", "ORDER", "Bundle", "check_signature", "read_bundle", "unverified_sha256", "write_bundle"]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose signature and digests hold.

    sha256: of the signed bytes of the manifest, which hold the digest of every part; it names the bundle everywhere.
    file_sha256: of the whole file, by which earlier versions named it; only to recognise what they wrote.
    """

    manifest: Manifest
    files: Mapping[str, bytes]
    sha256: str
    file_sha256: str = ""


def write_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes], signing_key_pem: bytes) -> str:
    """Write the bundle and return its identity; the manifest's `files` is filled in here.

    Raises:
        BundleError: a part is missing or too large.
        OperatorError: the key is no Ed25519 private key.
    """
    if set(files) != set(ORDER):
        raise BundleError(f"bundle: expected the parts {', '.join(ORDER)}, got {', '.join(sorted(files))}")
    parts = tuple(
        Part(name=name, sha256=hashlib.sha256(files[name]).hexdigest(), bytes=len(files[name])) for name in ORDER
    )
    body = jsontext.encode(msgspec.structs.replace(manifest, files=parts))
    path.write_bytes(pack([(ENVELOPE, sign(body, signing_key_pem)), *((name, files[name]) for name in ORDER)]))
    return hashlib.sha256(body).hexdigest()


def read_bundle(path: Path, trusted_public_keys: Sequence[bytes]) -> Bundle:
    """Return the bundle of a file.

    Before the signature holds, one header and at most 4 MB behind it are read, and compared with the one form that they
    may have; before a part's digest holds, nothing looks into it.

    Raises:
        BundleError: missing, too large, not a bundle, not signed by a trusted key, altered, or not byte for byte what
            `write_bundle` writes.
        OperatorError: a trusted key is no key.
    """
    try:
        with _open(path) as file:
            return _read(file, trusted_public_keys)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    except OSError as error:
        raise BundleError(
            f"{path}: cannot read the bundle: {error.strerror}; see bundle.path in the settings"
        ) from error


def check_signature(handle: int, trusted_public_keys: Sequence[bytes]) -> None:
    """Refuse an open file of which no trusted key signed the envelope, before anything is done for it.

    Raises:
        BundleError: too large, no bundle, or not signed by a trusted key.
        OSError: it cannot be read.
    """
    _check_length(os.fstat(handle).st_size)
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)  # the position is shared with the handle's: whoever reads on begins at the beginning, too
        verify(read_envelope(file), trusted_public_keys)


def unverified_sha256(path: Path) -> str | None:
    """Return what a file claims to be, whoever signed it; None where it cannot be read that far.

    For refusing it only: nothing may be trusted because of it.
    """
    try:
        with _open(path) as file:
            return hashlib.sha256(signed_bytes(read_envelope(file))).hexdigest()
    except (OSError, BundleError):
        return None


def _open(path: Path) -> BufferedReader:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not hang whoever reads it
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)  # before fdopen, which raises for a folder and leaves it open
        raise BundleError("expected an ordinary file, got something else")
    return os.fdopen(handle, "rb")


def _read(file: BufferedReader, keys: Sequence[bytes]) -> Bundle:
    length = os.fstat(file.fileno()).st_size
    _check_length(length)
    envelope = read_envelope(file)
    body = verify(envelope, keys)
    try:
        manifest = jsontext.decode(body, Manifest)
    except MessageError as error:
        raise BundleError(f"manifest: {error}") from error
    if tuple(part.name for part in manifest.files) != ORDER:
        raise BundleError(f"manifest: expected the parts {', '.join(ORDER)} in this order")
    for part in manifest.files:
        check_size(part.name, part.bytes)
    sizes = [len(envelope), *(part.bytes for part in manifest.files)]
    if length != container_bytes(sizes):
        raise BundleError(f"expected {container_bytes(sizes)} bytes by the signed manifest, got {length}")
    files = {}
    for part in manifest.files:
        files[part.name] = content = read_part(file, part.name, part.bytes)
        found = hashlib.sha256(content).hexdigest()
        if found != part.sha256:
            raise BundleError(f"{part.name}: expected sha256 {part.sha256[:12]}..., got {found[:12]}...")
    read_end(file, sizes)
    file.seek(0)
    whole = hashlib.file_digest(file, "sha256").hexdigest()
    return Bundle(manifest, files, hashlib.sha256(body).hexdigest(), whole)


def _check_length(length: int) -> None:
    if length > MAX_BYTES:
        raise BundleError(f"expected at most {MAX_BYTES} bytes, got {length}")
