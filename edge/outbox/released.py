"""What publish has told through `delivery.db`: which records may be released, and what a station claims to hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from edge.contract.ranges import RangeSet
from edge.outbox.database import FAILURES, open_reader


@dataclass(frozen=True, slots=True)
class Released:
    """Sequence numbers accounted for elsewhere: of records, and of their thumbnails."""

    records: RangeSet = field(default_factory=RangeSet)
    thumbnails: RangeSet = field(default_factory=RangeSet)

    @property
    def claimed(self) -> int:
        """The highest number that was claimed."""
        return max(self.records.highest, self.thumbnails.highest)


def read_released(path: Path) -> dict[str, Released]:
    """Return what is released per epoch; nothing is while `delivery.db` is missing or cannot be read."""
    if not path.exists():
        return {}
    connection = None
    try:
        connection = open_reader(path)
        rows = connection.execute("SELECT epoch, records, thumbnails FROM watermarks").fetchall()
    except (*FAILURES, OSError):
        return {}
    finally:
        if connection is not None:
            connection.close()
    return {epoch: Released(decode_ranges(records), decode_ranges(pictures)) for epoch, records, pictures in rows}


def encode_ranges(ranges: RangeSet) -> str:
    """Return the ranges as JSON text."""
    return json.dumps(list(ranges), separators=(",", ":"))


def decode_ranges(text: str) -> RangeSet:
    """Return the ranges that `encode_ranges` wrote."""
    return RangeSet((first, last) for first, last in json.loads(text))
