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
    TRUST,
    check_size,
    container_bytes,
    pack,
    read_end,
    read_envelope,
    read_part,
    read_trust,
)
from edge.contract.bundle.envelope import Opened, add_signature, sign, signed_bytes, verify
from edge.contract.bundle.roles import Authority
from edge.contract.bundle.trust import split_chain
from edge.contract.manifest import Manifest, Part
from edge.errors import BundleError, MessageError

__all__ = [
    "MAX_BYTES",
    "ORDER",
    "Bundle",
    "Trusted",
    "bundle_bytes",
    "check_signature",
    "read_bundle",
    "read_chain",
    "read_unverified",
    "signed_again",
    "unverified_sha256",
    "write_bundle",
]

Trusted = Sequence[bytes] | Authority
"""Public keys (PEM) of which one suffices, or the rule of a trust statement."""


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose signature and digests hold.

    sha256: of the signed bytes of the manifest, which hold the digest of every part; it names the bundle everywhere.
    file_sha256: of the whole file, by which earlier versions named it; only to recognise what they wrote.
    envelope: the manifest with its signatures. chain: the trust statements that travel in the file, if any do.
    """

    manifest: Manifest
    files: Mapping[str, bytes]
    sha256: str
    file_sha256: str = ""
    envelope: bytes = b""
    chain: bytes | None = None


def write_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes], signing_key_pem: bytes) -> str:
    """Write the bundle with one signature and return its identity; the manifest's `files` is filled in here.

    Raises:
        BundleError: a part is missing or too large.
        OperatorError: the key is no Ed25519 private key.
    """
    body = manifest_bytes(manifest, files)
    path.write_bytes(bundle_bytes(sign(body, signing_key_pem), files))
    return hashlib.sha256(body).hexdigest()


def manifest_bytes(manifest: Manifest, files: Mapping[str, bytes]) -> bytes:
    """Return the bytes to be signed: the manifest with the digest of every part.

    Raises:
        BundleError: a part is missing.
    """
    if set(files) != set(ORDER):
        raise BundleError(f"bundle: expected the parts {', '.join(ORDER)}, got {', '.join(sorted(files))}")
    parts = tuple(
        Part(name=name, sha256=hashlib.sha256(files[name]).hexdigest(), bytes=len(files[name])) for name in ORDER
    )
    return jsontext.encode(msgspec.structs.replace(manifest, files=parts))


def bundle_bytes(envelope: bytes, files: Mapping[str, bytes], chain: bytes | None = None) -> bytes:
    """Return the bytes of a bundle file. chain: trust statements to travel in it.

    Raises:
        BundleError: a part is too large.
    """
    trust = [] if chain is None else [(TRUST, chain)]
    return pack([(ENVELOPE, envelope), *trust, *((name, files[name]) for name in ORDER)])


def signed_again(
    bundle: Bundle, private_pem: bytes, passphrase: bytes | None = None, chain: bytes | None = None
) -> bytes:
    """Return the bytes of a bundle file with one more signature, and with newer trust statements where given.

    Raises:
        BundleError: it holds as many signatures as it can.
        OperatorError: the key cannot be used.
    """
    envelope = add_signature(bundle.envelope, private_pem, passphrase=passphrase)
    return bundle_bytes(envelope, bundle.files, bundle.chain if chain is None else chain)


def read_bundle(path: Path, trusted: Trusted) -> Bundle:
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
            return _read(file, trusted)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    except OSError as error:
        raise BundleError(
            f"{path}: cannot read the bundle: {error.strerror}; see bundle.path in the settings"
        ) from error


def read_unverified(path: Path) -> Bundle:
    """Return what a file holds, whoever signed it: to show it to a person, or to sign it; never to run it.

    Its form, its manifest's rules and the digests of its parts are checked, and no part is looked into.

    Raises:
        BundleError: it cannot be read, or is no bundle.
    """
    return read_bundle(path, _Anybody("anybody", ()))


def read_chain(handle: int) -> bytes | None:
    """Return the trust statements in an open bundle file, by their form alone; None where there are none.

    Raises:
        BundleError: no bundle.
        OSError: it cannot be read.
    """
    _check_length(os.fstat(handle).st_size)
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        read_envelope(file)
        return read_trust(file)


def check_signature(handle: int, trusted: Trusted) -> None:
    """Refuse an open file whose envelope is not signed by those who may, before anything is done for it.

    Raises:
        BundleError: too large, no bundle, or not signed by a trusted key.
        OSError: it cannot be read.
    """
    _check_length(os.fstat(handle).st_size)
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)  # the position is shared with the handle's: whoever reads on begins at the beginning, too
        verify(read_envelope(file), trusted)


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


class _Anybody(Authority):
    """Takes what nobody has signed, too."""

    def verify(self, opened: Opened) -> bytes:
        return opened.body


def _read(file: BufferedReader, trusted: Trusted) -> Bundle:
    length = os.fstat(file.fileno()).st_size
    _check_length(length)
    envelope = read_envelope(file)
    chain = read_trust(file)
    body = verify(envelope, trusted)
    if chain is not None:
        split_chain(chain)
    try:
        manifest = jsontext.decode(body, Manifest)
    except MessageError as error:
        raise BundleError(f"manifest: {error}") from error
    if tuple(part.name for part in manifest.files) != ORDER:
        raise BundleError(f"manifest: expected the parts {', '.join(ORDER)} in this order")
    for part in manifest.files:
        check_size(part.name, part.bytes)
    sizes = [len(envelope), *(() if chain is None else (len(chain),)), *(part.bytes for part in manifest.files)]
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
    return Bundle(manifest, files, hashlib.sha256(body).hexdigest(), whole, envelope, chain)


def _check_length(length: int) -> None:
    if length > MAX_BYTES:
        raise BundleError(f"expected at most {MAX_BYTES} bytes, got {length}")
