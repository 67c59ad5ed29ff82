"""What drawing one animal needs to know besides its pose."""

from __future__ import annotations

from dataclasses import dataclass

from edge.simulate.appearance import Appearance
from edge.simulate.coat import Palette
from edge.simulate.strains import Strain


@dataclass(frozen=True)
class Sketch:
    """One animal's look in one light; `lamp` is the unit vector towards it, `ambient` the share of scattered light."""

    appearance: Appearance
    strain: Strain
    palette: Palette
    seed: int
    lamp: tuple[float, float, float]
    ambient: float
