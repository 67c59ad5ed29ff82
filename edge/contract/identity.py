"""A record's identity on the wire: (epoch, seq), readable without decoding the body.

A payload is one flat JSON object. Its head has a fixed form and stands first:

    {"epoch":"<32 hex>","seq":17,"first_held":3,"replayed":false,"schema":"reading/1",...}

What follows the head is the body exactly as the device stored it; its SHA-256 is the record's digest. The head's other
fields may differ between two sendings of one record, the body never does.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from edge.contract.base import MAX_SEQ
from edge.errors import MessageError

_HEAD = re.compile(
    rb'\{"epoch":"([0-9a-f]{32})","seq":([1-9][0-9]{0,15}),"first_held":([1-9][0-9]{0,15}),"replayed":(true|false),'
)
_EPOCH = re.compile(r"[0-9a-f]{32}")
_SEQ = re.compile(r"[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Head:
    """The part of a payload that names the record and says how far back the device still holds records.

    epoch: 128 random bits as 32 hex digits, made with the database; never a time.
    seq: 1, 2, 3, ... within the epoch, below 2**53.
    first_held: the lowest seq of this epoch that the device can still send; below it the station records a loss.
    replayed: true on every sending that is not live.
    """

    epoch: str
    seq: int
    first_held: int
    replayed: bool


def is_epoch(text: str) -> bool:
    """Return whether the text has an epoch's form."""
    return _EPOCH.fullmatch(text) is not None


def read_seq(text: str) -> int | None:
    """Return the sequence number that a text spells, None where it spells none: decimal digits, 1 to 2**53 - 1."""
    # The form comes first: `int` of a text of any length takes the square of its length.
    number = int(text) if _SEQ.fullmatch(text) is not None else 0
    return number if 0 < number <= MAX_SEQ else None


def join(head: Head, body: bytes) -> bytes:
    """Return the payload of a stored body (a JSON object that is not empty) under its head."""
    flag = "true" if head.replayed else "false"
    text = f'{{"epoch":"{head.epoch}","seq":{head.seq},"first_held":{head.first_held},"replayed":{flag},'
    return text.encode() + body[1:]


def split(payload: bytes) -> tuple[Head, bytes]:
    """Return head and body of a payload; the body is not looked at.

    Raises:
        MessageError: the payload does not begin with a head, or a number in it is 2**53 or more.
    """
    match = _HEAD.match(payload)
    if match is None:
        raise MessageError(
            f"expected a payload that begins with epoch, seq, first_held, replayed, got {payload[:80]!r}"
        )
    epoch, seq, first_held, replayed = match.groups()
    head = Head(epoch.decode(), int(seq), int(first_held), replayed == b"true")
    if max(head.seq, head.first_held) > MAX_SEQ:
        raise MessageError(f"expected seq and first_held below 2**53, got {head.seq} and {head.first_held}")
    return head, b"{" + payload[match.end() :]


def digest(body: bytes) -> str:
    """Return the SHA-256 of a body as 64 hex digits."""
    return hashlib.sha256(body).hexdigest()
