"""The rows of the table `records`: how one is made, and what shows that one is still what was made."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from edge.contract import identity
from station.store.body import pack_body, unpack_body

INSERT: Final = (
    "INSERT OR IGNORE INTO records (device, epoch, seq, digest, schema, body, received_at, replayed, seal) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
COLUMNS: Final = "device, epoch, seq, digest, schema, body, received_at, replayed, seal"


class RecordRow(NamedTuple):
    """One row, in the order of `COLUMNS`. body: packed; digest: of the body before that, 64 hex digits."""

    device: str
    epoch: str
    seq: int
    digest: str
    schema: str
    body: bytes
    received_at: float
    replayed: int
    seal: int


def record_row(
    device: str, epoch: str, seq: int, digest: str, schema: str, body: bytes, received_at: float, replayed: int
) -> RecordRow:
    """Return the row of a record whose body is not packed yet. received_at: one that no clock gave counts as 0."""
    received_at = float(received_at) if isinstance(received_at, (int, float)) else 0.0
    replayed = 1 if replayed else 0
    seal = _seal(device, epoch, seq, digest, schema, received_at, replayed)
    return RecordRow(device, epoch, seq, digest, schema, pack_body(body), received_at, replayed, seal)


def read_body(row: RecordRow) -> bytes:
    """Return the record's body, byte for byte as the device stored it.

    Raises:
        ValueError: the row is not what was written.
    """
    check_seal(row)
    body = unpack_body(row.body)
    if identity.digest(body) != row.digest:
        raise ValueError("its body is not what was written")
    return body


def check_seal(row: RecordRow) -> None:
    """Raise ValueError unless the columns that the digest does not cover are what was written."""
    if row.seal != _seal(*row[:5], row.received_at, row.replayed):
        raise ValueError("its columns are not what was written")


def _seal(*columns: object) -> int:
    """Return the CRC-32 of what the digest does not cover; floats with every digit."""
    return zlib.crc32(repr(columns).encode("utf-8", "surrogatepass"))
