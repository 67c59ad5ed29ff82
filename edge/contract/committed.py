"""The station's promise back to the device: what its database has committed."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from edge.contract import jsontext
from edge.contract.base import Count, Epoch, Name, Sequence, Struct

COMMITTED_SCHEMA: Final = "cageclock/committed/1"
MAX_HOLES = 64
MAX_EPOCHS_NAMED = 4096
MAX_MESSAGE_BYTES = 32_000
"""Of `info` and `committed`, as this program writes them."""

Hole = tuple[Sequence, Sequence]
"""First and last missing number."""
Holes = Annotated[tuple[Hole, ...], msgspec.Meta(max_length=MAX_HOLES)]


class CommittedEpoch(Struct, frozen=True, kw_only=True):
    """What came of one epoch: everything 1..through but the holes (inclusive pairs).

    A record came when it is stored or quarantined. A thumbnail did when it is stored or quarantined, or when its record
    came and has none. What is known to be lost stands among the holes: whoever still holds it sends it.
    """

    epoch: Epoch
    through: Count
    holes: Holes = ()
    thumbnails_through: Count = 0
    thumbnail_holes: Holes = ()

    def __post_init__(self) -> None:
        """Refuse a hole that ends before it begins: nothing is released on a guess of what it means."""
        for first, last in (*self.holes, *self.thumbnail_holes):
            if last < first:
                raise ValueError(f"expected holes as first..last, got {first}..{last}")


class Committed(Struct, frozen=True, kw_only=True):
    """Retained at `committed/<station>`.

    What the device may release. Another `station_db` reopens the device's ring; under the same one, an epoch that is
    not named keeps what was said of it, and one that is named with less than before is reopened.
    """

    schema: Literal["cageclock/committed/1"] = COMMITTED_SCHEMA
    station_db: Name
    epochs: Annotated[tuple[CommittedEpoch, ...], msgspec.Meta(max_length=MAX_EPOCHS_NAMED)]


def read_committed(payload: bytes) -> Committed:
    """Return a station's watermark, also one of version 0.1.0, which says `known` of an epoch: digests to compare.

    Such a message may be retained when a device has been upgraded, or come from a station that has not been. What else
    is unknown in it is refused: nothing is released on a guess of what it means.

    Raises:
        MessageError: it breaks the contract.
    """
    values = jsontext.parse(payload)
    epochs = values.get("epochs") if isinstance(values, dict) else None
    for epoch in epochs if isinstance(epochs, list) else ():
        if isinstance(epoch, dict):
            epoch.pop("known", None)
    return jsontext.decode(jsontext.encode(values), Committed)
