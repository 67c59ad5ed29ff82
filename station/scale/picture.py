"""A picture of the card as grey levels, as it lies on the disk: nothing is resized on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edge.errors import OperatorError
from station.scale.board import Picture

_MOST_PIXELS = 64_000_000
_SMALLEST = 160


def read_grey(path: Path) -> Picture:
    """Return a picture's grey levels, uint8 (height, width), turned as its EXIF says.

    Raises:
        OperatorError: no picture, a damaged one, too small or too large.
    """
    try:
        with Image.open(path) as file:
            if file.width * file.height > _MOST_PIXELS:
                raise OperatorError(f"{path}: expected at most 64 million pixels, got {file.width} x {file.height}")
            turned = ImageOps.exif_transpose(file)
            deep = turned.mode.startswith(("I", "F"))
            grey = np.asarray(turned) if deep else np.asarray(turned.convert("L"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        said = getattr(error, "strerror", None) or "no picture that can be read (PNG, JPEG or TIFF)"
        raise OperatorError(f"{path}: {said}") from error
    if min(grey.shape) < _SMALLEST:
        raise OperatorError(
            f"{path}: expected a picture in the size of the settings, got one of {grey.shape[1]} x {grey.shape[0]}"
        )
    if deep:  # only corners are looked for: the brightest level is white, whatever the number of bits
        top = float(grey.max()) or 1.0
        grey = (grey.astype(np.float64) * (255.0 / top)).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(grey, np.uint8)
