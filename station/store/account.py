"""What of one sequence is accounted for: what came, and what is known to be lost."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from edge.contract.base import MAX_SEQ
from edge.contract.committed import CommittedEpoch
from edge.contract.ranges import RangeSet


@dataclass(slots=True)
class Account:
    """One sequence: the numbers whose record, and whose thumbnail, came (stored or quarantined), and those lost.

    A number may be in both: it was lost by one copy of a card and came from another. Then it came.
    """

    records: RangeSet = field(default_factory=RangeSet)
    thumbnails: RangeSet = field(default_factory=RangeSet)
    lost: RangeSet = field(default_factory=RangeSet)
    lost_thumbnails: RangeSet = field(default_factory=RangeSet)
    received_at: float = 0.0

    def copy(self) -> Account:
        """Return another account that says the same."""
        return Account(
            self.records.copy(),
            self.thumbnails.copy(),
            self.lost.copy(),
            self.lost_thumbnails.copy(),
            self.received_at,
        )

    def spans(self) -> int:
        """Return the number of unconnected ranges, of whichever kind has most."""
        return max(self.records.spans(), self.thumbnails.spans(), self.lost.spans(), self.lost_thumbnails.spans())

    def unaccounted(self, last: int) -> list[tuple[int, int]]:
        """Return the numbers up to `last` whose record neither came nor is known to be lost."""
        return union(self.records, self.lost).missing(1, last)

    def unaccounted_thumbnails(self, last: int) -> list[tuple[int, int]]:
        """Return the numbers up to `last` whose thumbnail neither came nor is known to be lost."""
        return union(self.thumbnails, self.lost_thumbnails).missing(1, last)

    def row(self) -> tuple[str, str, str, str, float]:
        """Return the columns of the table `accounts` behind its key; `read_account` reads them."""
        sets = (self.records, self.thumbnails, self.lost, self.lost_thumbnails)
        records, thumbnails, lost, lost_thumbnails = (json.dumps(list(one)) for one in sets)
        return records, thumbnails, lost, lost_thumbnails, self.received_at

    def promise(self, epoch: str, cap: int) -> CommittedEpoch:
        """Return what the device is promised, with at most `cap` holes of records and of thumbnails.

        What is lost stands among the holes, apart from what came: a card that lost a record must not have another
        copy of it release the one that is left. Whoever does not hold it has nothing to send.
        """
        through, holes = _watermark(self.records, self.lost, cap)
        thumbnails_through, thumbnail_holes = _watermark(self.thumbnails, self.lost_thumbnails, cap)
        return CommittedEpoch(
            epoch=epoch,
            through=through,
            holes=holes,
            thumbnails_through=thumbnails_through,
            thumbnail_holes=thumbnail_holes,
        )


def union(one: RangeSet, other: RangeSet) -> RangeSet:
    """Return the numbers of either set."""
    if not other:
        return one
    found = one.copy()
    for first, last in other:
        found.add(first, last)
    return found


def less(numbers: RangeSet, gone: RangeSet) -> RangeSet:
    """Return the numbers of the first set that are not in the second."""
    return RangeSet(part for first, last in numbers for part in gone.missing(first, last))


def read_account(row: tuple[object, ...]) -> Account:
    """Return the account of a row of `records, thumbnails, lost, lost_thumbnails, received_at`."""
    received_at = row[4] if isinstance(row[4], (int, float)) else 0.0
    records, thumbnails, lost, lost_thumbnails = (read_ranges(text) for text in row[:4])
    return Account(records, thumbnails, lost, lost_thumbnails, float(received_at))


def read_ranges(text: object) -> RangeSet:
    """Return the numbers of an account's column, as far as they are ones that the contract has.

    A column that cannot be read is as good as empty: nothing is promised, the device sends again, and what is stored
    already is accounted for once more.
    """
    try:
        ranges = json.loads(text) if isinstance(text, str) else []
        sound = [(max(1, first), min(last, MAX_SEQ)) for first, last in ranges]
        return RangeSet((first, last) for first, last in sound if first <= last)
    except (ValueError, TypeError, RecursionError):
        return RangeSet()


def _watermark(came: RangeSet, lost: RangeSet, cap: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Return (through, holes): what neither came nor is lost ends the claim where it is one hole too many.

    Where what is lost would make more than `cap` holes, the oldest of it counts as what came: a device must not wait
    for ever for the end of a list.
    """
    through, holes = union(came, lost).watermark(cap)
    if not lost:
        return through, holes
    counted = came
    gone = [span for first, last in lost for span in came.missing(first, min(last, through))]
    while len(named := counted.missing(1, through)) > cap:
        extra = len(named) - cap
        counted, gone = union(counted, RangeSet(gone[:extra])), gone[extra:]
    return through, tuple(named)
