"""The fresh word of a lab's online key: nothing newer than this exists, until then.

An online key lies on the station and has no other power: it neither signs bundles nor statements, and its word never
ends an estimate. It lets a device notice that somebody keeps newer statements or releases from it (The Update
Framework's timestamp role, and its freeze attack).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from edge.contract import jsontext
from edge.contract.base import Count, Sequence, Struct
from edge.contract.bundle.envelope import add_signature, enclose, open_envelope
from edge.contract.bundle.statement import ChannelName, Moment, Statement
from edge.errors import BundleError, MessageError

FRESHNESS_SCHEMA: Final = "cageclock/freshness/1"
FRESHNESS_TYPE: Final = "application/vnd.cageclock.freshness+json"
MAX_FRESHNESS_BYTES: Final = 16_384
LONGEST_HOURS: Final = 336.0
"""A word that held for longer would let nobody notice a freeze."""
_BEGIN = b'{"payloadType":"%s"' % FRESHNESS_TYPE.encode()
FRESHNESS_BEGINS: Final = len(_BEGIN)
"""So many bytes tell."""


class Freshness(Struct, frozen=True, kw_only=True):
    """What was newest when it was signed.

    trust_version: of the lab's newest trust statement. releases: per channel the newest release.
    signed_at, expires_at: by the station's clock; a device that gets no later word by then is frozen.
    """

    schema: Literal["cageclock/freshness/1"] = FRESHNESS_SCHEMA
    lab: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    trust_version: Sequence
    releases: Annotated[dict[ChannelName, Count], msgspec.Meta(max_length=64)]
    signed_at: Moment
    expires_at: Moment


def sign_freshness(word: Freshness, private_pem: bytes, passphrase: bytes | None = None) -> bytes:
    """Return the envelope of a word.

    Raises:
        OperatorError: the key cannot be used.
        BundleError: the word contradicts itself.
    """
    body = jsontext.encode(word)
    _read(body)
    return add_signature(enclose(body, {}, FRESHNESS_TYPE), private_pem, FRESHNESS_TYPE, passphrase)


def is_freshness(beginning: bytes) -> bool:
    """Return whether bytes begin as an envelope of a word does."""
    return beginning.startswith(_BEGIN)


def read_freshness(envelope: bytes, statement: Statement) -> Freshness:
    """Return the word, once the online role of this statement has signed it.

    Raises:
        BundleError: too long, no such envelope, not signed as it takes, another lab's, or it contradicts itself.
    """
    if len(envelope) > MAX_FRESHNESS_BYTES:
        raise BundleError(f"freshness: expected at most {MAX_FRESHNESS_BYTES} bytes, got {len(envelope)}")
    opened = open_envelope(envelope, FRESHNESS_TYPE)
    if isinstance(statement.online, msgspec.UnsetType):
        raise BundleError(f"freshness: trust statement {statement.version} names no online key")
    role = statement.online.without(statement.revoked_keys)
    if not role.holds(opened):
        signed = len(role.signers(opened))
        raise BundleError(f"freshness: expected {role.threshold} signatures of the online keys, got {signed}")
    word = _read(opened.body)
    if word.lab != statement.lab:
        raise BundleError(f"freshness: lab: expected {statement.lab!r}, got {word.lab!r}")
    return word


def _read(body: bytes) -> Freshness:
    try:
        word = jsontext.decode(body, Freshness)
    except MessageError as error:
        raise BundleError(f"freshness: {error}") from error
    if word.expires_at <= word.signed_at:
        raise BundleError("freshness: expires_at: expected a moment after signed_at")
    if (word.expires_at - word.signed_at).total_seconds() > LONGEST_HOURS * 3600:
        raise BundleError(f"freshness: expires_at: expected at most {LONGEST_HOURS:g} hours after signed_at")
    return word
