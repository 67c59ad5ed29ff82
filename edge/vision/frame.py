"""One photograph in memory, with what the camera reported of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge.contract.manifest import PREPROCESS_VERSION, SMALL_WIDTH
from edge.contract.reading import CameraState
from edge.vision.pixels import Image as Image
from edge.vision.views import Views, views_of


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure.

    main: uint8 (height, width, 3), RGB, 0-255.
    triggered_at_s, exposed_at_s: CLOCK_BOOTTIME seconds of the request and of the exposure's start; a frame exposed
        before its trigger is stale.
    state: what the frame really had.
    px_per_mm: calibrated scale of `main`, None where the camera is not calibrated.
    small_width: pixels, of the small view that the quality gate looks at.
    """

    main: Image
    triggered_at_s: float
    exposed_at_s: float
    state: CameraState
    px_per_mm: float | None
    small_width: int = SMALL_WIDTH
    _made: dict[str, Views] = field(init=False, repr=False, compare=False, default_factory=dict)

    def views(self, version: str = PREPROCESS_VERSION) -> Views:
        """Return how a version of the preprocessing sees `main`; whatever it makes of it is made once.

        Raises:
            BundleError: there is no such version here.
        """
        if version not in self._made:
            self._made[version] = views_of(self.main, version)
        return self._made[version]

    def small(self, version: str = PREPROCESS_VERSION) -> Image:
        """Return the small view, uint8 (height, width) grey, 0-255: the whole of `main`, reduced."""
        return self.views(version).small(min(self.small_width, self.main.shape[1]))
