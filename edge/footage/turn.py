"""How a stored picture is turned to stand upright: by an EXIF orientation or a video's display matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge.vision.frame import Image


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the eight: exchange rows and columns first, then mirror left to right and top to bottom."""

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def of(self, pixels: Image) -> Image:
        """Return the picture, uint8 (h, w) or (h, w, 3), upright; itself where nothing is to be turned."""
        if self == UPRIGHT:
            return pixels
        if self.transpose:
            pixels = pixels.swapaxes(0, 1)
        if self.mirror:
            pixels = pixels[:, ::-1]
        if self.flip:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)


UPRIGHT = Turn()
_EXIF = {
    2: Turn(mirror=True),
    3: Turn(mirror=True, flip=True),
    4: Turn(flip=True),
    5: Turn(transpose=True),
    6: Turn(transpose=True, mirror=True),
    7: Turn(transpose=True, mirror=True, flip=True),
    8: Turn(transpose=True, flip=True),
}
_SKEW = 0.02
"""Part of a matrix that may lie beside the axes: about one degree, which files round to."""


def turn_of_exif(orientation: object) -> Turn:
    """Return the turn of an EXIF orientation (Exif 2.3, 4.6.4); what is none of 1 to 8 turns nothing, as in viewers."""
    return _EXIF.get(orientation, UPRIGHT) if isinstance(orientation, int) else UPRIGHT


def turn_of_matrix(matrix: tuple[int, ...]) -> Turn | None:
    """Return the turn of a display matrix, nine numbers by rows (ISO/IEC 14496-12, 8.3.2); None where it is another.

    A pixel (x, y) is shown at (a x + c y, b x + d y). The scale of a matrix is that of the pixels' shape, which the
    stream states besides; a matrix of zeros means no turn.
    """
    a, b, _, c, d = matrix[:5]
    across, down = math.hypot(a, c), math.hypot(b, d)
    if across == 0 or down == 0:
        return UPRIGHT
    if max(abs(c) / across, abs(b) / down) < _SKEW:
        return Turn(mirror=a < 0, flip=d < 0)
    if max(abs(a) / across, abs(d) / down) < _SKEW:
        return Turn(transpose=True, mirror=c < 0, flip=b < 0)
    return None
