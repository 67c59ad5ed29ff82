"""What one MQTT message says: a record, a thumbnail, or why it cannot be read. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from edge.contract import identity, jsontext
from edge.contract.base import MAX_RECORD_BYTES
from edge.contract.identity import Head
from edge.contract.reading import SCHEMA as READING_SCHEMA
from edge.contract.reading import Reading
from edge.contract.record import (
    CLOCK_SCHEMA,
    EVENT_SCHEMA,
    LOST_RANGES_SCHEMA,
    LOST_SCHEMA,
    ClockCorrection,
    Event,
    Lost,
    LostRanges,
)
from edge.contract.times import check_time
from edge.errors import MessageError
from station.store.picture import read_exif_identity

Content = Reading | Event | Lost | LostRanges | ClockCorrection
T = TypeVar("T", bound=Content)
STATES: Final = ("availability", "info", "health")
"""Retained topics of which the newest message is kept as it is."""
RECORD_STREAMS: Final = ("reading", "record")
_REASON_CHARACTERS: Final = 2000

_KINDS: Final[dict[str, dict[str, type[Content]]]] = {
    "reading": {READING_SCHEMA: Reading},
    "record": {
        EVENT_SCHEMA: Event,
        LOST_SCHEMA: Lost,
        LOST_RANGES_SCHEMA: LostRanges,
        CLOCK_SCHEMA: ClockCorrection,
    },
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came. `device` is the topic's, the only identity that counts.

    stream: "reading", "record", "thumbnail", or one of STATES.
    properties: MQTT 5 user properties; empty on MQTT 3.1.1.
    received_at: Unix seconds.
    """

    device: str
    stream: str
    payload: bytes
    received_at: float
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record that can be read."""

    head: Head
    body: bytes
    digest: str
    content: Content


@dataclass(frozen=True, slots=True)
class Picture:
    """A thumbnail with its identity; captured_at where the picture itself says it."""

    epoch: str
    seq: int
    sha256: str
    jpeg: bytes
    captured_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message for the quarantine.

    head: None when not even the identity could be read; then nothing is accounted for.
    awaits_thumbnail: the record names a picture, which is still to come.
    keep: the bytes to keep; `whole` says whether they are all of them.
    """

    reason: str
    head: Head | None
    digest: str
    keep: bytes
    whole: bool
    awaits_thumbnail: bool = False


def read_record(arrival: Arrival, max_bytes: int) -> Record | Unreadable:
    """Return the record, or why it is none that this version can read."""
    payload = arrival.payload
    if len(payload) > max_bytes:
        return _oversized(arrival, max_bytes)
    try:
        head, body = identity.split(payload)
    except MessageError as error:
        return _unreadable(str(error), None, payload)
    awaits = _seems_to_have_a_thumbnail(body)  # until it is known: a picture too many is no loss
    content: Content
    try:
        if len(payload) > MAX_RECORD_BYTES:
            raise MessageError(f"expected a record of at most {MAX_RECORD_BYTES} bytes, got {len(payload)}")
        plain = jsontext.decode_as_written(body, Reading) if arrival.stream == "reading" else None
        if plain is not None:
            awaits = plain.thumbnail is not None
            content = _checked(arrival, plain)
        else:
            values = jsontext.parse(body)
            awaits = isinstance(values, dict) and values.get("thumbnail") is not None
            content = _content(arrival, values)
    except MessageError as error:
        return _unreadable(str(error), head, payload, body, awaits)
    return Record(head, body, identity.digest(body), content)


def read_state(arrival: Arrival, max_bytes: int) -> bytes | Unreadable:
    """Return what a device says of itself, as it came, or why it is not kept."""
    limit = min(max_bytes, MAX_RECORD_BYTES)
    return arrival.payload if len(arrival.payload) <= limit else _oversized(arrival, limit)


def read_unexpected(arrival: Arrival, error: Exception) -> Unreadable:
    """Return a message that this program failed on, for the quarantine, under its identity where it has one."""
    payload, (head, body) = arrival.payload, _head_and_body(arrival)
    awaits = arrival.stream != "thumbnail" and _seems_to_have_a_thumbnail(payload)
    return _unreadable(f"unexpected {type(error).__name__}: {error}; please report this", head, payload, body, awaits)


def read_picture(arrival: Arrival, max_bytes: int) -> Picture | Unreadable:
    """Return the thumbnail under its identity: the user properties', else the EXIF's."""
    jpeg = arrival.payload
    if len(jpeg) > max_bytes:
        return _oversized(arrival, max_bytes)
    head: Head | None = None
    try:
        head = _head_of_properties(arrival)
        if not jpeg.startswith(b"\xff\xd8\xff"):
            raise MessageError(f"expected a JPEG, got bytes that begin with {jpeg[:8]!r}")
        written = read_exif_identity(jpeg)
        if written is not None:
            head = _agreed(arrival.device, head, written)
        if head is None:
            raise MessageError("expected epoch and seq as user properties or in the EXIF's ImageDescription, got none")
        captured_at = _time(written.get("captured_at")) if written else None
    except MessageError as error:
        return _unreadable(str(error), head, jpeg)
    return Picture(head.epoch, head.seq, hashlib.sha256(jpeg).hexdigest(), jpeg, captured_at)


def find_head(arrival: Arrival) -> Head | None:
    """Return what names the message, None where that cannot be read, for whatever reason."""
    try:
        return _head_and_body(arrival)[0]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the last resort looks at nothing that may fail
        return None


def _head_and_body(arrival: Arrival) -> tuple[Head | None, bytes | None]:
    try:
        if arrival.stream == "thumbnail":
            return _head_of_properties(arrival), None
        return identity.split(arrival.payload) if arrival.stream not in STATES else (None, None)
    except MessageError:
        return None, None


def _content(arrival: Arrival, values: Any) -> Content:
    schema = values.get("schema") if isinstance(values, dict) else None
    kind = _KINDS[arrival.stream].get(schema) if isinstance(schema, str) else None
    if kind is None:
        known = ", ".join(_KINDS[arrival.stream])
        raise MessageError(f"expected a schema of the {arrival.stream} topic ({known}), got {schema!r}")
    try:
        content = msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise MessageError(f"{kind.__name__}: {error}") from error
    return _checked(arrival, content)


def _checked(arrival: Arrival, content: T) -> T:
    """Return the content where it is this device's and its time one that can be stored."""
    if content.device_id != arrival.device:
        raise MessageError(f"expected device_id {arrival.device!r} as in the topic, got {content.device_id!r}")
    check_time(content.captured_at if isinstance(content, Reading) else content.recorded_at)
    return content


def _head_of_properties(arrival: Arrival) -> Head | None:
    said = [pair for pair in arrival.properties if pair[0] in ("epoch", "seq")]
    found = dict(said)
    if len(found) != len(set(said)):
        raise MessageError("expected epoch and seq once among the user properties, got two values")
    return _picture_head(found["epoch"], found["seq"]) if len(found) == 2 else None


def _agreed(device: str, head: Head | None, written: dict[str, Any]) -> Head:
    found = _picture_head(str(written.get("epoch")), str(written.get("seq")))
    if head is not None and (head.epoch, head.seq) != (found.epoch, found.seq):
        raise MessageError(f"user properties say {head.epoch}:{head.seq}, the EXIF says {found.epoch}:{found.seq}")
    if written.get("device_id") != device:
        raise MessageError(f"expected device_id {device!r} as in the topic, got {written.get('device_id')!r}")
    return found


def _picture_head(epoch: str, seq: str) -> Head:
    number = identity.read_seq(seq)
    if not identity.is_epoch(epoch) or number is None:
        raise MessageError(
            f"expected an epoch of 32 hex digits and a seq of 1 to 2**53 - 1, got {epoch[:40]!r} and {seq[:20]!r}"
        )
    return Head(epoch, number, 0, False)


def _time(text: object) -> datetime | None:
    """Return the time that a picture says of itself; it only chooses the folder, so a strange one is no one."""
    try:
        return check_time(datetime.fromisoformat(text)) if isinstance(text, str) else None
    except (ValueError, MessageError):
        return None


def _seems_to_have_a_thumbnail(body: bytes) -> bool:
    return b'"thumbnail":{' in body or b'"thumbnail": {' in body


def one_line(text: str) -> str:
    """Return a text for the journal: no longer than 2,000 characters, nothing in it that steers a terminal."""
    text = text[:_REASON_CHARACTERS]
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _oversized(arrival: Arrival, max_bytes: int) -> Unreadable:
    # Only its beginning is kept, so it is not accounted for: the device keeps it until the limit is raised.
    reason = f"expected at most {max_bytes} bytes, got {len(arrival.payload)}; raise max_payload_kb to take it"
    digest = hashlib.sha256(arrival.payload).hexdigest()
    return Unreadable(reason, None, digest, arrival.payload[:4096], whole=False)


def _unreadable(
    reason: str, head: Head | None, payload: bytes, body: bytes | None = None, awaits: bool = False
) -> Unreadable:
    # The body's digest, not the payload's: a resend under another first_held is the same poison.
    digest = hashlib.sha256(payload if body is None else body).hexdigest()
    return Unreadable(one_line(reason), head, digest, payload, whole=True, awaits_thumbnail=awaits)
