"""The station's promise back to the device: what its database has committed."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from edge.contract.base import Count, Epoch, Name, Sequence, Struct

COMMITTED_SCHEMA: Final = "cageclock/committed/1"
MAX_HOLES = 64
MAX_EPOCHS_NAMED = 4096

Hole = tuple[Sequence, Sequence]
"""First and last missing number."""
Holes = Annotated[tuple[Hole, ...], msgspec.Meta(max_length=MAX_HOLES)]
MAX_ASKED = 64
DigestOrNone = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$", max_length=64)]
Known = Annotated[tuple[tuple[Sequence, DigestOrNone], ...], msgspec.Meta(max_length=MAX_ASKED + 1)]
"""Numbers with the digests of their records; "" where the station's database holds no record of that number."""


class CommittedEpoch(Struct, frozen=True, kw_only=True):
    """What is accounted for in one epoch: everything 1..through but the holes (inclusive pairs).

    A record is accounted for when it is stored, quarantined, or known to be lost. A thumbnail is when it is stored,
    quarantined, known to be lost, or when its record is accounted for and has none.

    known: the newest stored record's digest, and those that the device asked for in `info`, in rising order. A device
    whose own record differs is another history under one identity (a copied or restored card) and takes no claim. Only
    told to a device whose `info` says that it compares: an earlier version would refuse the message.
    """

    epoch: Epoch
    through: Count
    holes: Holes = ()
    thumbnails_through: Count = 0
    thumbnail_holes: Holes = ()
    known: Known | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        """Refuse a hole that ends before it begins: nothing is released on a guess of what it means."""
        for first, last in (*self.holes, *self.thumbnail_holes):
            if last < first:
                raise ValueError(f"expected holes as first..last, got {first}..{last}")


class Committed(Struct, frozen=True, kw_only=True):
    """Retained at `committed/<station>`.

    What the device may release. Another `station_db` reopens the device's ring.
    """

    schema: Literal["cageclock/committed/1"] = COMMITTED_SCHEMA
    station_db: Name
    epochs: Annotated[tuple[CommittedEpoch, ...], msgspec.Meta(max_length=MAX_EPOCHS_NAMED)]
