"""A reading under its identity, as it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from edge.contract import jsontext
from edge.contract.reading import Reading
from edge.errors import StorageError
from edge.outbox.record_file import Key
from edge.outbox.row import Row, new_row

Build = Callable[[str, int], tuple[Reading, bytes | None]]
"""Makes the reading of an epoch and a number, and its picture's JPEG or None."""


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A reading with its row. without_picture: the disk had no room for its picture."""

    reading: Reading
    row: Row
    without_picture: bool

    @property
    def key(self) -> Key:
        """Epoch and sequence number."""
        return self.row.epoch, self.row.seq


def make_stored(
    build: Build, epoch: str, seq: int, keep: Callable[[str, bytes], bool], step: Callable[[str], None]
) -> StoredReading:
    """Return what `build` makes for an identity.

    keep: stores a picture under its sha256; whether there was room. step: see `Outbox`.

    Raises:
        StorageError: the reading describes another picture.
    """
    reading, jpeg = build(epoch, seq)
    sha = hashlib.sha256(jpeg).hexdigest() if jpeg is not None else ""
    if jpeg is not None and (reading.thumbnail is None or reading.thumbnail.sha256 != sha):
        raise StorageError("expected a reading whose thumbnail describes the picture's bytes, got another sha256")
    step("built")
    kept = jpeg if jpeg is not None and keep(sha, jpeg) else None
    body = jsontext.encode(reading)
    row = new_row(epoch, seq, "reading", reading.schema, reading.captured_at, body, kept, sha)
    return StoredReading(reading, row, without_picture=jpeg is not None and kept is None)
