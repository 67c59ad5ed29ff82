"""One stored record with its checksum: SQLite has none of its own, and a flipped bit of a text leaves a valid text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from edge.contract import identity

COLUMNS = "epoch, seq, kind, schema, recorded_at, body, digest, thumbnail, thumbnail_bytes, seal"


@dataclass(frozen=True, slots=True)
class Row:
    """One stored record. kind: the stream it goes out on, `reading` or `record`; thumbnail: sha256 or None."""

    epoch: str
    seq: int
    kind: str
    schema: str
    recorded_at: str
    body: bytes
    digest: str
    thumbnail: str | None
    thumbnail_bytes: int
    checksum: str

    def sound(self) -> bool:
        """Return whether every column still is what was written: types first, a flipped bit may change even those."""
        texts = (self.epoch, self.kind, self.schema, self.recorded_at, self.digest, self.checksum)
        return (
            all(isinstance(text, str) for text in texts)
            and isinstance(self.seq, int)
            and self.seq >= 1
            and isinstance(self.body, bytes)
            and isinstance(self.thumbnail, str | None)
            and isinstance(self.thumbnail_bytes, int)
            and identity.is_epoch(self.epoch)
            and identity.digest(self.body) == self.digest
            and self.checksum == _checksum_of(self)
        )


def checksum(*values: object) -> str:
    """Return the checksum of a row's values: 64 bits, against chance and not against malice."""
    return hashlib.blake2b(repr(values).encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _checksum_of(row: Row) -> str:
    # The digest stands for the body.
    labels = (row.epoch, row.seq, row.kind, row.schema, row.recorded_at)
    return checksum(*labels, row.digest, row.thumbnail, row.thumbnail_bytes)


def with_checksum(row: Row) -> Row:
    """Return the row under the checksum of what it holds now."""
    return replace(row, checksum=_checksum_of(row))


def new_row(
    epoch: str, seq: int, kind: str, schema: str, recorded_at: datetime, body: bytes, picture: bytes | None, sha: str
) -> Row:
    """Return the row of a body and, where there is one, of its picture's bytes with their sha256."""
    named, size = (None, 0) if picture is None else (sha, len(picture))
    return with_checksum(
        Row(epoch, seq, kind, schema, column_time(recorded_at), body, identity.digest(body), named, size, "")
    )


def column_time(at: datetime) -> str:
    """Return a UTC time as text that sorts by time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
