"""`model/trust`, retained, one a device: the lab's trust statements, and the fresh word of its online key.

Statements travel as the exact texts that were signed, oldest first, with every one between: a device that was off for
weeks walks from the one that it holds to the newest (The Update Framework 1.0, 5.3). Where the whole chain is longer
than a message, it may begin with any statement that the device holds (`model/reported`, `trust.version`).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from edge.contract import jsontext
from edge.contract.base import MAX_RECORD_BYTES, Struct
from edge.contract.bundle.trust import MAX_STATEMENTS, chain_bytes, split_chain
from edge.errors import BundleError, MessageError

MODEL_TRUST_SCHEMA: Final = "cageclock/model-trust/1"
MAX_TRUST_BYTES: Final = MAX_RECORD_BYTES
EnvelopeText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_RECORD_BYTES)]


class ModelTrust(Struct, frozen=True, kw_only=True):
    """Signed texts, believed by nobody before their signatures hold.

    chain: DSSE envelopes of statements, oldest first. freshness: an envelope of the online key's newest word
    (`edge.contract.bundle.freshness`), None where the lab's statements name no online key.
    """

    schema: Literal["cageclock/model-trust/1"] = MODEL_TRUST_SCHEMA
    chain: Annotated[tuple[EnvelopeText, ...], msgspec.Meta(min_length=1, max_length=MAX_STATEMENTS)]
    freshness: EnvelopeText | None = None

    def chain_file(self) -> bytes:
        """Return the bytes of the chain file that holds these statements."""
        return chain_bytes([one.encode() for one in self.chain])


def model_trust(chain_file: bytes, freshness: bytes | None = None, *, held: int = 0) -> bytes:
    """Return the message for a device that holds the statement of version `held` (0: unknown).

    The oldest statements that the device has already are left out where the message would be too long.

    Raises:
        BundleError: the file is no chain.
        MessageError: what the device lacks does not fit into one message.
    """
    from edge.contract.bundle.envelope import open_envelope
    from edge.contract.bundle.statement import STATEMENT_TYPE, read_statement

    envelopes = split_chain(chain_file)
    fresh = None if freshness is None else freshness.decode("ascii")

    def message(chain: list[bytes]) -> bytes:
        return jsontext.encode(ModelTrust(chain=tuple(one.decode("ascii") for one in chain), freshness=fresh))

    payload = message(envelopes)
    while len(payload) > MAX_TRUST_BYTES:
        second = envelopes[1] if len(envelopes) > 1 else None
        if second is None or read_statement(open_envelope(second, STATEMENT_TYPE).body).version > held:
            raise MessageError(
                f"model/trust: expected at most {MAX_TRUST_BYTES} bytes, got {len(payload)}; bring trust.json to the "
                "device by itself (`cageclock bundle install trust.json`)"
            )
        envelopes = envelopes[1:]
        payload = message(envelopes)
    return payload


def read_model_trust(payload: bytes) -> ModelTrust | None:
    """Return the message; None of an empty one. Its signatures are for the device's installer to verify.

    Raises:
        MessageError: too long, or no such message.
    """
    if not payload:
        return None
    if len(payload) > MAX_TRUST_BYTES:
        raise MessageError(f"model/trust: expected at most {MAX_TRUST_BYTES} bytes, got {len(payload)}")
    found = jsontext.decode(payload, ModelTrust)
    try:
        split_chain(found.chain_file())
    except (BundleError, UnicodeEncodeError) as error:
        raise MessageError(f"model/trust: chain: {error}") from error
    return found
