"""Which sequence numbers are accounted for: a set of inclusive ranges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class RangeSet:
    """A set of positive integers kept as sorted, disjoint, non-adjacent inclusive ranges."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        """Start from any ranges, in any order, overlapping or not."""
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Put the numbers first..last (or first alone) into the set."""
        last = first if last is None else last
        if last < first:
            raise ValueError(f"expected first <= last, got {first}..{last}")
        low = bisect_right(self._lasts, first - 2)  # the first range that touches or follows
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def __contains__(self, number: int) -> bool:
        """Return whether the number is in the set."""
        index = bisect_right(self._firsts, number) - 1
        return index >= 0 and number <= self._lasts[index]

    def __iter__(self) -> Iterator[Range]:
        """Yield the ranges in order."""
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same numbers."""
        return isinstance(other, RangeSet) and self._firsts == other._firsts and self._lasts == other._lasts

    def __bool__(self) -> bool:
        """Return whether there is a number in the set."""
        return bool(self._firsts)

    def count(self) -> int:
        """Return how many numbers are in the set.

        It is not `len`: `list` makes room for as many items as `len` says, and one range may hold 2**53 numbers.
        """
        return sum(last - first + 1 for first, last in self)

    def spans(self) -> int:
        """Return how many ranges the set is made of."""
        return len(self._firsts)

    def copy(self) -> RangeSet:
        """Return another set with the same numbers."""
        found = RangeSet()
        found._firsts, found._lasts = self._firsts[:], self._lasts[:]
        return found

    def missing(self, first: int, last: int) -> list[Range]:
        """Return the ranges of first..last that are not in the set."""
        found = []
        start = first
        for index in range(bisect_left(self._lasts, first), len(self._firsts)):
            low, high = self._firsts[index], self._lasts[index]
            if low > last:
                break
            if low > start:
                found.append((start, low - 1))
            start = high + 1
        if start <= last:
            found.append((start, last))
        return found

    def up_to(self, last: int) -> RangeSet:
        """Return the numbers of the set that are not above `last`."""
        return RangeSet((first, min(end, last)) for first, end in self if first <= last)

    @property
    def highest(self) -> int:
        """The highest number, 0 for the empty set."""
        return self._lasts[-1] if self._lasts else 0

    def watermark(self, cap: int = 64) -> tuple[int, tuple[Range, ...]]:
        """Return (through, holes): every number 1..through is in the set but those in the holes.

        At most `cap` holes are named; with more, `through` ends before the first unnamed one, so that the claim
        stays true.
        """
        holes: list[Range] = []
        through = 0
        for first, last in self:
            if first > through + 1:
                if len(holes) == cap:
                    return through, tuple(holes)
                holes.append((through + 1, first - 1))
            through = last
        return through, tuple(holes)

    @classmethod
    def from_watermark(cls, through: int, holes: Iterable[Range]) -> RangeSet:
        """Return the set that a (through, holes) pair describes: no number of a hole, however the holes overlap.

        Raises:
            ValueError: a hole ends before it begins.
        """
        found = cls()
        start = 1
        for first, last in sorted(holes):
            if last < first:
                raise ValueError(f"expected a hole first..last, got {first}..{last}")
            if start > through:
                break
            if first > start:
                found.add(start, min(first - 1, through))
            start = max(start, last + 1)
        if through >= start:
            found.add(start, through)
        return found
