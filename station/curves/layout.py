"""How the panels of one picture stand. Pure; lengths are inches."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Layout:
    """How panels stand on one picture; lengths in inches. left, top, bottom: of a panel, for its labels and title."""

    columns: int
    width: float
    height: float
    font: float
    left: float = 0.75
    top: float = 0.5
    bottom: float = 0.55

    @property
    def small(self) -> bool:
        """Whether panels are too small for texts along the curve."""
        return self.height < 4


def layout_for(panels: int) -> Layout:
    """Return large panels for up to six curves, small ones in a grid about as wide as high for more."""
    if panels <= 6:
        return Layout(1 if panels == 1 else 2, 6.9, 4.3, 9.5)
    return Layout(min(6, ceil(panels**0.5)), 3.7, 2.6, 7.0, left=0.6, top=0.42, bottom=0.42)
