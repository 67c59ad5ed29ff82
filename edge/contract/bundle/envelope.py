"""A DSSE envelope with Ed25519 over the exact bytes of the manifest.

DSSE (Dead Simple Signing Envelope, secure-systems-lab, v1.0.2) signs `PAE(type, body)`, so that no canonical form of
JSON is needed: `DSSEv1 <len type> <type> <len body> <body>`. The envelope itself is JSON that any DSSE tool reads; here
it has one fixed form and is taken apart by position, because no parser may see what nobody has signed.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any

from edge.contract.manifest import PAYLOAD_TYPE
from edge.errors import BundleError, OperatorError

_BEGIN = b'{"payloadType":"%s","payload":"' % PAYLOAD_TYPE.encode()
_BEFORE_ID, _BEFORE_SIGNATURE, _END = b'","signatures":[{"keyid":"', b'","sig":"', b'"}]}'
_ID_LENGTH, _SIGNATURE_LENGTH = 16, 88
_HEXADECIMAL = re.compile("[0-9a-f]{16}")
_EXPECTED = "expected a DSSE envelope with one signature, in the form in which it is written"


def new_key_pair() -> tuple[bytes, bytes]:
    """Return a fresh Ed25519 key pair as PEM: (private, public)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sign(body: bytes, private_pem: bytes) -> bytes:
    """Return the envelope of a manifest's bytes.

    Raises:
        OperatorError: the key is not an Ed25519 private key in PEM.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        key = serialization.load_pem_private_key(private_pem, None)
    except (ValueError, TypeError) as error:
        raise OperatorError(f"signing key: expected an Ed25519 private key in PEM, got {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise OperatorError(f"signing key: expected Ed25519, got {type(key).__name__}")
    signature = key.sign(_pre_authentication(body))
    return _enclose(body, _key_id(key.public_key()), signature)


def signed_bytes(envelope: bytes) -> bytes:
    """Return the bytes that an envelope's signature is over, unverified.

    Raises:
        BundleError: not an envelope.
    """
    return _open(envelope)[0]


def verify(envelope: bytes, trusted_pems: Sequence[bytes]) -> bytes:
    """Return the signed bytes, once the trusted key that the envelope names has signed them.

    Raises:
        BundleError: not an envelope, or no trusted key signed it.
        OperatorError: a trusted key is not an Ed25519 public key in PEM.
    """
    from cryptography.exceptions import InvalidSignature

    body, key_id, signature = _open(envelope)
    keys = [_public_key(pem) for pem in trusted_pems]
    for key in keys:
        if _key_id(key) != key_id:
            continue
        try:
            key.verify(signature, _pre_authentication(body))
        except InvalidSignature:
            continue
        return body
    raise BundleError(
        f"signature: none of {len(keys)} trusted keys signed this bundle (it names key {key_id}); "
        "see bundle.trusted_keys"
    )


def _public_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise OperatorError(f"trusted key: expected an Ed25519 public key in PEM, got {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise OperatorError(f"trusted key: expected Ed25519, got {type(key).__name__}")
    return key


def _enclose(body: bytes, key_id: str, signature: bytes) -> bytes:
    """Return the envelope: DSSE's JSON in one fixed form, without a blank, for one signature."""
    return b"".join(
        (
            _BEGIN,
            base64.b64encode(body),
            _BEFORE_ID,
            key_id.encode(),
            _BEFORE_SIGNATURE,
            base64.b64encode(signature),
            _END,
        )
    )


def _open(envelope: bytes) -> tuple[bytes, str, bytes]:
    """Return the signed bytes, the name of the key and the signature.

    The places of all three follow from the length, so that nothing has to be parsed; what was found must make the same
    envelope again.
    """
    at = len(envelope) - len(_BEFORE_ID) - _ID_LENGTH - len(_BEFORE_SIGNATURE) - _SIGNATURE_LENGTH - len(_END)
    id_at = at + len(_BEFORE_ID)
    signature_at = id_at + _ID_LENGTH + len(_BEFORE_SIGNATURE)
    try:
        body = base64.b64decode(envelope[len(_BEGIN) : max(at, 0)], validate=True)
        key_id = envelope[id_at : id_at + _ID_LENGTH].decode("ascii")
        signature = base64.b64decode(envelope[signature_at : signature_at + _SIGNATURE_LENGTH], validate=True)
    except ValueError as error:  # binascii's and Unicode's errors are of this kind
        raise BundleError(f"envelope: {_EXPECTED}, got other bytes") from error
    if at < len(_BEGIN) or _HEXADECIMAL.fullmatch(key_id) is None or _enclose(body, key_id, signature) != envelope:
        raise BundleError(f"envelope: {_EXPECTED}, got another form")
    return body, key_id, signature


def _pre_authentication(body: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def _key_id(key: Any) -> str:
    """Return the name of a public key in envelopes: the first half of its digest, 16 hexadecimal digits."""
    from cryptography.hazmat.primitives import serialization

    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:_ID_LENGTH]
