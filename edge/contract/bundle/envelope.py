"""A DSSE envelope with Ed25519 signatures over exact bytes: those of a manifest, or of a trust statement.

DSSE (Dead Simple Signing Envelope, secure-systems-lab, v1.0.2) signs `PAE(type, body)`, so that no canonical form of
JSON is needed: `DSSEv1 <len type> <type> <len body> <body>`. The type is signed too, so that what was signed as one
kind never passes for another. The envelope itself is JSON that any DSSE tool reads; here it has one fixed form, its
signatures in the order of their keys' names, and is taken apart by position, because no parser may see what nobody has
signed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge.contract.bundle.keys import ID_LENGTH, key_id, open_private, open_public
from edge.contract.manifest import PAYLOAD_TYPE
from edge.errors import BundleError

if TYPE_CHECKING:
    from edge.contract.bundle.roles import Authority

MAX_SIGNATURES: Final = 16
_BETWEEN, _BEFORE_ID, _BEFORE_SIGNATURE, _CLOSE, _END = b'","signatures":[', b'{"keyid":"', b'","sig":"', b'"}', b"]}"
_SIGNATURE_LENGTH = 88
_ENTRY = len(_BEFORE_ID) + ID_LENGTH + len(_BEFORE_SIGNATURE) + _SIGNATURE_LENGTH + len(_CLOSE)
_HEXADECIMAL = re.compile(b"[0-9a-f]{16}")
_EXPECTED = "expected a DSSE envelope in the form in which it is written"


@dataclass(frozen=True, slots=True)
class Opened:
    """What an envelope holds, verified by nobody yet. signatures: by the name of the key that each claims."""

    kind: str
    body: bytes
    signatures: Mapping[str, bytes]

    def signed_by(self, key: Any, name: str | None = None) -> bool:
        """Return whether this Ed25519 public key signed the body as this kind. name: under which; None: its own."""
        from cryptography.exceptions import InvalidSignature

        signature = self.signatures.get(key_id(key) if name is None else name)
        if signature is None:
            return False
        try:
            key.verify(signature, _pre_authentication(self.body, self.kind))
        except InvalidSignature:
            return False
        return True


def sign(body: bytes, private_pem: bytes, kind: str = PAYLOAD_TYPE, passphrase: bytes | None = None) -> bytes:
    """Return the envelope of these bytes with one signature.

    Raises:
        OperatorError: the key is not an Ed25519 private key in PEM, or the passphrase is wrong.
    """
    return add_signature(enclose(body, {}, kind), private_pem, kind, passphrase)


def add_signature(
    envelope: bytes, private_pem: bytes, kind: str = PAYLOAD_TYPE, passphrase: bytes | None = None
) -> bytes:
    """Return the envelope with one more signature; the same where this key has signed it already.

    Raises:
        BundleError: not an envelope, or full.
        OperatorError: as `sign`.
    """
    found = open_envelope(envelope, kind)
    key = open_private(private_pem, passphrase)
    signature = key.sign(_pre_authentication(found.body, kind))
    return enclose(found.body, {**found.signatures, key_id(key.public_key()): signature}, kind)


def enclose(body: bytes, signatures: Mapping[str, bytes], kind: str = PAYLOAD_TYPE) -> bytes:
    """Return the envelope: DSSE's JSON in one fixed form, without a blank. signatures: by the names of their keys.

    Raises:
        BundleError: more than MAX_SIGNATURES.
    """
    if len(signatures) > MAX_SIGNATURES:
        raise BundleError(f"envelope: expected at most {MAX_SIGNATURES} signatures, got {len(signatures)}")
    entries = (
        b"".join((_BEFORE_ID, name.encode(), _BEFORE_SIGNATURE, base64.b64encode(signatures[name]), _CLOSE))
        for name in sorted(signatures)
    )
    return b"".join((_begin(kind), base64.b64encode(body), _BETWEEN, b",".join(entries), _END))


def open_envelope(envelope: bytes, kind: str = PAYLOAD_TYPE) -> Opened:
    """Return what an envelope of this kind holds, unverified.

    The places of all follow from the payload's end and the length, so that nothing has to be parsed; what was found
    must make the same envelope again.

    Raises:
        BundleError: not an envelope, or in another form than `enclose` writes.
    """
    begin = _begin(kind)
    end = envelope.find(b'"', len(begin))
    entries = envelope[end + len(_BETWEEN) : -len(_END)] if end > 0 else b""
    count, rest = divmod(len(entries) + 1, _ENTRY + 1) if entries else (0, 0)
    if not envelope.startswith(begin) or end < 0 or rest or count > MAX_SIGNATURES:
        raise BundleError(f"envelope: {_EXPECTED}, of at most {MAX_SIGNATURES} signatures, got another form")
    try:
        body = base64.b64decode(envelope[len(begin) : end], validate=True)
        signatures = dict(_entry(entries[at * (_ENTRY + 1) :][:_ENTRY]) for at in range(count))
    except ValueError as error:  # binascii's errors are of this kind
        raise BundleError(f"envelope: {_EXPECTED}, got other bytes") from error
    if enclose(body, signatures, kind) != envelope:
        raise BundleError(f"envelope: {_EXPECTED}, got another form")
    return Opened(kind, body, signatures)


def signed_bytes(envelope: bytes) -> bytes:
    """Return the bytes that a bundle's signatures are over, unverified.

    Raises:
        BundleError: not an envelope.
    """
    return open_envelope(envelope).body


def verify(envelope: bytes, trusted: Sequence[bytes] | Authority) -> bytes:
    """Return the manifest's bytes, once whom it takes has signed them. trusted: keys (PEM) of which one suffices.

    Raises:
        BundleError: not an envelope, or not signed by those who may.
        OperatorError: a trusted key is not an Ed25519 public key in PEM.
    """
    if not isinstance(trusted, Sequence):
        return trusted.verify(open_envelope(envelope))
    keys = [open_public(pem) for pem in trusted]
    found = open_envelope(envelope)
    if any(found.signed_by(key) for key in keys):
        return found.body
    names = ", ".join(f"key {name}" for name in found.signatures) or "no key"
    raise BundleError(
        f"signature: none of {len(keys)} trusted keys signed this bundle (it names {names}); see bundle.trusted_keys"
    )


def _entry(entry: bytes) -> tuple[str, bytes]:
    name = entry[len(_BEFORE_ID) :][:ID_LENGTH]
    if _HEXADECIMAL.fullmatch(name) is None:
        raise ValueError("no name of a key")
    signature = entry[len(_BEFORE_ID) + ID_LENGTH + len(_BEFORE_SIGNATURE) :][:_SIGNATURE_LENGTH]
    return name.decode(), base64.b64decode(signature, validate=True)


def _begin(kind: str) -> bytes:
    return b'{"payloadType":"%s","payload":"' % kind.encode()


def _pre_authentication(body: bytes, kind: str) -> bytes:
    name = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(body), body)
