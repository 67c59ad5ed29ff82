"""The cards that measure the scale: each has marks of its own, so that a picture tells which one it shows."""

from __future__ import annotations

from dataclasses import dataclass

RULER_MM = 100.0
PAGE_MM = (297.0, 210.0)
"""A4, landscape."""


@dataclass(frozen=True, slots=True)
class Card:
    """A chessboard with a mark in each white field. across, down: fields. first_mark: the number of its first mark."""

    name: str
    across: int
    down: int
    field_mm: float
    mark_mm: float
    first_mark: int

    @property
    def marks(self) -> int:
        """How many marks there are: one in each white field."""
        return self.across * self.down // 2

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the chessboard."""
        return self.across * self.field_mm, self.down * self.field_mm

    @property
    def corners(self) -> int:
        """How many inner corners there are to be found."""
        return (self.across - 1) * (self.down - 1)


CARDS = {
    "small": Card("small", 8, 5, 20.0, 15.0, 0),
    "large": Card("large", 10, 6, 25.0, 18.75, 100),
}
"""small fits between the bars and the bottle of a mouse cage; large is for open fields and rat cages."""
