"""One photograph in memory, with what the camera reported of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contract.reading import CameraState

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure in two sizes.

    main: uint8 (height, width, 3), RGB, 0-255.
    small: uint8 (small_height, small_width), grey, 0-255: the same view, reduced.
    triggered_at_s, exposed_at_s: CLOCK_BOOTTIME seconds of the request and of the exposure's start; a frame exposed
        before its trigger is stale.
    state: what the frame really had.
    px_per_mm: calibrated scale of `main`, None where the camera is not calibrated.
    grey: uint8 (height, width): `main` in grey, where the small view was made of it; cuts need not make it again.
    """

    main: Image
    small: Image
    triggered_at_s: float
    exposed_at_s: float
    state: CameraState
    px_per_mm: float | None
    grey: Image | None = None

    def planes(self, channels: int) -> Image:
        """Return what a network of so many channels is cut from: `grey` for one, where it is there, else `main`."""
        return self.grey if channels == 1 and self.grey is not None else self.main
