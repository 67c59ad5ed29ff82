"""A bundle file: a plain tar in fixed order, read with caps, believed only once its signature and digests hold."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.contract import jsontext
from edge.contract.manifest import AGE, CARD, CENTRES, GOLDEN_INPUTS, GOLDEN_OUTPUTS, PARTS, Manifest, Part
from edge.errors import BundleError, MessageError
from edge.model.envelope import sign, verify

ENVELOPE = "envelope.json"
ORDER = (CENTRES, PARTS, AGE, GOLDEN_INPUTS, GOLDEN_OUTPUTS, CARD)
MAX_BYTES = 64_000_000
_CAPS = {ENVELOPE: 4_000_000, CENTRES: 16_000_000, PARTS: 16_000_000, AGE: 32_000_000}
_OTHER_CAP = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle whose signature and digests hold. sha256: of the whole file; it names the bundle everywhere."""

    manifest: Manifest
    files: Mapping[str, bytes]
    sha256: str


def write_bundle(path: Path, manifest: Manifest, files: Mapping[str, bytes], signing_key_pem: bytes) -> str:
    """Write the bundle and return its SHA-256; the manifest's `files` is filled in here.

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
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in ((ENVELOPE, sign(body, signing_key_pem)), *((name, files[name]) for name in ORDER)):
            _check_size(name, len(content))
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    path.write_bytes(out.getvalue())
    return hashlib.sha256(out.getvalue()).hexdigest()


def read_bundle(path: Path, trusted_public_keys: Sequence[bytes]) -> Bundle:
    """Return the bundle of a file; no part of it is parsed before the signature and the part's digest hold.

    Raises:
        BundleError: missing, too large, not a bundle, not signed by a trusted key, or altered.
        OperatorError: a trusted key is no key.
    """
    content = _read_capped(path)
    members = _members(content, path)
    try:
        manifest = jsontext.decode(verify(members[ENVELOPE], trusted_public_keys), Manifest)
    except MessageError as error:
        raise BundleError(f"{path}: manifest: {error}") from error
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    if tuple(part.name for part in manifest.files) != ORDER:
        raise BundleError(f"{path}: manifest: expected the parts {', '.join(ORDER)} in this order")
    for part in manifest.files:
        found = hashlib.sha256(members[part.name]).hexdigest()
        if found != part.sha256 or len(members[part.name]) != part.bytes:
            raise BundleError(f"{path}: {part.name}: expected sha256 {part.sha256[:12]}..., got {found[:12]}...")
    files = {name: members[name] for name in ORDER}
    return Bundle(manifest, files, hashlib.sha256(content).hexdigest())


def _read_capped(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BundleError(
            f"{path}: cannot read the bundle: {error.strerror}; see bundle.path in the settings"
        ) from error
    if len(content) > MAX_BYTES:
        raise BundleError(f"{path}: expected at most {MAX_BYTES} bytes, got more")
    return content


def _members(content: bytes, path: Path) -> dict[str, bytes]:
    """Return the parts of the tar: exactly the fixed names in their order, each under its cap."""
    expected = (ENVELOPE, *ORDER)
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for name in expected:
                entry = archive.next()
                if entry is None or entry.name != name or not entry.isreg():
                    got = "the end" if entry is None else repr(entry.name[:80])
                    raise BundleError(f"{path}: expected {name} as part {len(found) + 1}, got {got}")
                _check_size(name, entry.size)
                reader = archive.extractfile(entry)
                data = reader.read() if reader is not None else b""
                if len(data) != entry.size:
                    raise BundleError(
                        f"{path}: {name}: expected {entry.size} bytes, got {len(data)}; the file is cut short"
                    )
                found[name] = data
            if archive.next() is not None:
                raise BundleError(f"{path}: expected {len(expected)} parts, got more")
    except (tarfile.TarError, EOFError, ValueError, OSError, IndexError) as error:
        raise BundleError(f"{path}: expected a bundle (tar), got {error}") from error
    return found


def _check_size(name: str, size: int) -> None:
    cap = _CAPS.get(name, _OTHER_CAP)
    if size > cap:
        raise BundleError(f"{name}: expected at most {cap} bytes, got {size}")
