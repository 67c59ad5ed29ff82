"""Which animal of a frame is which of the frame before: columns kept by nearness. This is no identification.

An animal is known by its last place only: animals that touch, or that hide and come out elsewhere, may be exchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.vision.preprocess import Point

MOST_TRACKS = 10
"""The exact assignment looks at every set of columns: 1,024 sets of ten, a million of twenty."""


@dataclass(frozen=True, slots=True)
class _Seen:
    place: Point
    frame: int


class Tracks:
    """A fixed number of columns, each with the last place of its animal."""

    def __init__(self, count: int, *, reach_px: float, memory: int) -> None:
        """Nothing has been seen.

        count: 1 to `MOST_TRACKS` columns.
        reach_px: further than this an animal hardly runs from one frame to the next, nor further than twice this from
            one to the next but one, and so on: what appears out of reach of all takes a column without an animal, if
            there is one, rather than that of another animal.
        memory: for how many frames a lost animal keeps its last place, at least 1.
        """
        self._reach_px, self._memory = reach_px, memory
        self._frame = 0
        self._seen: list[_Seen | None] = [None] * count

    def columns_of(self, centres: Sequence[Point]) -> list[int]:
        """Return the column, from 0, of each centre (x, y) in pixels of the next frame; no more centres than columns.

        The sum of distances to the last known places is the least there is. Centres that come first are given free
        columns first.
        """
        self._frame += 1
        known = [one if one is not None and self._frame - one.frame <= self._memory else None for one in self._seen]
        reach_px = self._reach_px * max((self._frame - one.frame for one in known if one is not None), default=1)
        costs = [[reach_px if one is None else math.dist(centre, one.place) for one in known] for centre in centres]
        columns = least_assignment(costs)
        for centre, column in zip(centres, columns, strict=True):
            self._seen[column] = _Seen(centre, self._frame)
        return columns


def least_assignment(costs: Sequence[Sequence[float]]) -> list[int]:
    """Return each row's own column so that the sum of costs is least; no more rows than columns.

    Exact: row by row, the best way to fill each set of columns (dynamic programming over subsets: Held and Karp, 1962).
    Of equal sums the one with the lowest columns for the first rows.
    """
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for row in costs:
        longer: dict[int, tuple[float, tuple[int, ...]]] = {}
        for filled, (total, columns) in best.items():
            for column, cost in enumerate(row):
                now = filled | 1 << column
                way = (total + cost, (*columns, column))
                if now != filled and (now not in longer or way < longer[now]):
                    longer[now] = way
        best = longer
    return list(min(best.values())[1])
