"""What a frame is looked at through: a small view and cuts, by a named version of the preprocessing.

Version 2 makes the small view and every cut of the frame's own pixels. Version 3 reduces a large frame once, by a whole
factor (`edge.vision.reduce`), and makes of that the small view and all cuts that need no more of it; below twice
`REDUCED_WIDTH` pixels it reduces nothing, and both versions are the same bits. A bundle names the version that its
networks were trained with, and is shown no other.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import PREPROCESS_VERSION, PREPROCESS_VERSIONS
from edge.errors import BundleError
from edge.vision import image
from edge.vision.pixels import Image
from edge.vision.reduce import reduce_by

REDUCED_WIDTH = 640
"""Pixels: a frame is reduced by the largest whole factor that leaves it at least this wide."""


class Views(Protocol):
    """The views of one frame. main: uint8 (height, width, 3), RGB."""

    main: Image

    def small(self, width: int) -> Image:
        """Return the whole frame as uint8 grey (h, width), its shape kept."""

    def cut(self, to_main: NDArray[np.float64], scale: float, width: int, height: int, *, grey: bool) -> Image:
        """Return the width x height picture whose pixel (u, v) lies at `to_main @ (u, v, 1)`; black outside.

        scale: how many of the frame's pixels go into one of the cut's, along one side.
        """

    def colours(self) -> Image:
        """Return the frame in colour, no larger than it needs to be: uint8 (h, w, 3), or 4 with a byte unused."""


def views_of(main: Image, version: str = PREPROCESS_VERSION) -> Views:
    """Return the views of a frame, uint8 (height, width, 3) RGB, by a version of the preprocessing.

    Raises:
        BundleError: there is no such version here.
    """
    check_version(version)
    factor = main.shape[1] // REDUCED_WIDTH
    return ReducedViews(main, factor) if version != "2" and factor > 1 else WholeViews(main)


def alike(version: str, width: int) -> tuple[str, ...]:
    """Return the versions that make of a frame of this width, pixels, the same bits as that one, itself among them."""
    return PREPROCESS_VERSIONS if width < 2 * REDUCED_WIDTH else (version,)


def check_version(version: str) -> None:
    """Return where this program has that version of the preprocessing.

    Raises:
        BundleError: it has not.
    """
    if version not in PREPROCESS_VERSIONS:
        known = " or ".join(PREPROCESS_VERSIONS)
        advice = "update the program or make the bundle again"
        raise BundleError(f"bundle: expected preprocessing version {known}, got {version}; {advice}")


class WholeViews:
    """Everything is made of the frame's own pixels; its grey view is made once."""

    def __init__(self, main: Image) -> None:
        """Nothing is made before it is asked for."""
        self.main = main
        self._small: dict[int, Image] = {}

    @cached_property
    def _grey(self) -> Image:
        return image.to_grey(self.main)

    def small(self, width: int) -> Image:
        """Return the whole frame as uint8 grey (h, width), its shape kept."""
        if width not in self._small:
            self._small[width] = image.grey_reduced(self._grey, width)
        return self._small[width]

    def cut(self, to_main: NDArray[np.float64], scale: float, width: int, height: int, *, grey: bool) -> Image:
        """Return the cut, see `Views`: of the grey view that is there, or of the part that it shows."""
        source = self._grey if grey and "_grey" in self.__dict__ else self.main
        return _cut_part(source, to_main, width, height, grey=grey)

    def colours(self) -> Image:
        """Return the frame itself."""
        return self.main


class ReducedViews:
    """A large frame, reduced once by a whole factor of at least two."""

    def __init__(self, main: Image, factor: int) -> None:
        """Nothing is made before it is asked for."""
        self.main, self._factor = main, factor
        self._small: dict[int, Image] = {}

    @cached_property
    def _reduced(self) -> Image:
        return reduce_by(self.main, self._factor)

    @cached_property
    def _grey(self) -> Image:
        return image.to_grey(self._reduced)

    def small(self, width: int) -> Image:
        """Return the whole frame as uint8 grey (h, width), its shape kept."""
        if width not in self._small:
            self._small[width] = self._make_small(width)
        return self._small[width]

    def _make_small(self, width: int) -> Image:
        height, across = self.main.shape[:2]
        if width * self._factor > across:
            return image.grey_reduced(self.main, width)
        down = max(1, round(height * width / across))
        to_reduced = np.array([[across / width, 0.0, 0.0], [0.0, height / down, 0.0]]) / self._factor
        return image.cut(self._grey, to_reduced, width, down, grey=True)

    def cut(self, to_main: NDArray[np.float64], scale: float, width: int, height: int, *, grey: bool) -> Image:
        """Return the cut, see `Views`.

        It is made of the reduced frame where that has pixels enough; otherwise of the part of the frame that it shows,
        reduced by the whole factor in its scale.
        """
        if scale >= self._factor:
            source = self._grey if grey else self._reduced[..., :3]
            return _cut_part(source, to_main / self._factor, width, height, grey=grey)
        return _cut_part(self.main, to_main, width, height, grey=grey, factor=max(1, int(scale)))

    def colours(self) -> Image:
        """Return the reduced frame, uint8 (h, w, 4)."""
        return self._reduced


def _cut_part(
    source: Image, to_source: NDArray[np.float64], width: int, height: int, *, grey: bool, factor: int = 1
) -> Image:
    """Return the cut, made of the part of the source that it shows; reduced first where the factor is not one."""
    part = part_shown(source, to_source, width, height, factor)
    if part is None:
        return np.zeros((height, width) if grey else (height, width, 3), np.uint8)
    (x0, y0, x1, y1), local = part, to_source.copy()
    local[:, 2] -= (x0, y0)
    pixels = source[y0:y1, x0:x1]
    if factor > 1:
        pixels, local = reduce_by(pixels, factor), local / factor
        if not grey:
            pixels = pixels[..., :3]
    return image.cut(pixels, local, width, height, grey=grey)


def part_shown(
    source: Image, to_source: NDArray[np.float64], width: int, height: int, align: int = 1
) -> tuple[int, int, int, int] | None:
    """Return the box x0, y0, x1, y1 of a picture that a cut shows, with a margin; None where it shows nothing of it.

    align: the box begins and, within the picture, ends at multiples of it, so that blocks of it are those of the whole.
    """
    corners = to_source @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], np.float64)
    low, high = np.floor(corners.min(1)).astype(int) - 2, np.ceil(corners.max(1)).astype(int) + 2
    x0, y0 = (max(0, int(value) // align * align) for value in low)
    x1, y1 = (
        min(limit, -(-int(value) // align) * align)
        for value, limit in zip(high, (source.shape[1], source.shape[0]), strict=True)
    )
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
