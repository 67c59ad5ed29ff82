"""The reference view, against which a moved camera is noticed: one for each light, kept over restarts.

The first usable picture in a light becomes its reference. It never follows the camera by itself: a moved camera stays
flagged until a person has put it back, or has removed `reference-*.npy` after adjusting it on purpose.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.contract.reading import Light, Outcome
from edge.vision.frame import Image
from edge.vision.quality import reference_view

Spectrum = NDArray[np.complex64]
USABLE = (Outcome.OK, Outcome.NO_MOUSE, Outcome.IN_NEST)


class Reference:
    """The references of one device."""

    def __init__(self, folder: Path) -> None:
        """They are read when first needed."""
        self._folder = folder
        self._spectra: dict[Light, Spectrum | None] = {}

    def of(self, light: Light) -> Spectrum | None:
        """Return the reference of a light's view; None while there is none or the phase is unknown."""
        if light is Light.UNKNOWN:
            return None
        if light not in self._spectra:
            self._spectra[light] = self._read(light)
        return self._spectra[light]

    def offer(self, light: Light, outcome: Outcome, small: Image) -> None:
        """Keep the picture, uint8 (h, w) grey, where it is the first usable one of its light."""
        if light is Light.UNKNOWN or outcome not in USABLE or self.of(light) is not None:
            return
        self._spectra[light] = reference_view(small)
        path = self._path(light)
        temporary = path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                np.save(file, small, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:  # a full disk: the next start takes a new reference
            temporary.unlink(missing_ok=True)

    def _read(self, light: Light) -> Spectrum | None:
        try:
            small = np.load(self._path(light), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return reference_view(small) if small.ndim == 2 and small.dtype == np.uint8 else None

    def _path(self, light: Light) -> Path:
        return self._folder / f"reference-{light.value}.npy"
