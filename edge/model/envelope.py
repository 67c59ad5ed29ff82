"""A DSSE envelope with Ed25519 over the exact bytes of the manifest.

DSSE (Dead Simple Signing Envelope, secure-systems-lab, v1.0.2) signs `PAE(type, body)`, so that no canonical form of
JSON is needed: `DSSEv1 <len type> <type> <len body> <body>`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from edge.contract import jsontext
from edge.contract.manifest import PAYLOAD_TYPE
from edge.errors import BundleError, MessageError, OperatorError


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
    public = key.public_key().public_bytes_raw()
    return jsontext.encode(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(body).decode(),
            "signatures": [{"keyid": _key_id(public), "sig": base64.b64encode(signature).decode()}],
        }
    )


def verify(envelope: bytes, trusted_pems: Sequence[bytes]) -> bytes:
    """Return the signed bytes, once a trusted key's signature holds over them.

    Raises:
        BundleError: not an envelope, or no trusted key signed it.
        OperatorError: a trusted key is not an Ed25519 public key in PEM.
    """
    from cryptography.exceptions import InvalidSignature

    body, signatures = _open(envelope)
    keys = [_public_key(pem) for pem in trusted_pems]
    for signature in signatures:
        for key in keys:
            try:
                key.verify(signature, _pre_authentication(body))
            except InvalidSignature:
                continue
            return body
    raise BundleError(f"signature: none of {len(keys)} trusted keys signed this bundle; see bundle.trusted_keys")


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


def _open(envelope: bytes) -> tuple[bytes, list[bytes]]:
    try:
        outer = jsontext.parse(envelope)
        if outer["payloadType"] != PAYLOAD_TYPE:
            raise BundleError(f"envelope: expected type {PAYLOAD_TYPE}, got {outer['payloadType']!r}")
        body = base64.b64decode(outer["payload"], validate=True)
        signatures = [base64.b64decode(entry["sig"], validate=True) for entry in outer["signatures"][:8]]
    except (MessageError, KeyError, TypeError, AttributeError, ValueError) as error:  # b64decode raises two kinds
        raise BundleError(f"envelope: expected a DSSE envelope, got {type(error).__name__}: {error}") from error
    return body, signatures


def _pre_authentication(body: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def _key_id(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:16]
