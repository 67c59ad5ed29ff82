"""A picture of the card as grey levels, as it lies on the disk: nothing is resized on the way."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from edge.errors import OperatorError
from station.scale.board import Picture

_MOST_PIXELS = 64_000_000
_SMALLEST = 160


def read_grey(path: Path) -> Picture:
    """Return a picture's grey levels, uint8 (height, width), turned as its EXIF says.

    Raises:
        OperatorError: no picture, a damaged one, several in one file, too small or too large.
    """
    try:
        if not path.is_file() and path.exists():
            raise OperatorError(f"{path}: expected a picture's file, got a folder, a pipe or a device")
        with warnings.catch_warnings(), Image.open(path) as file:
            warnings.simplefilter("ignore")  # the same text comes as an error where it matters
            if getattr(file, "n_frames", 1) > 1 and file.format != "MPO":
                raise OperatorError(f"{path}: expected one picture, got {file.n_frames} in one file; save one of them")  # type: ignore[attr-defined]
            if file.width * file.height > _MOST_PIXELS:
                raise OperatorError(f"{path}: expected at most 64 million pixels, got {file.width} x {file.height}")
            turned = ImageOps.exif_transpose(file)
            deep = turned.mode.startswith(("I", "F"))
            grey = np.asarray(turned) if deep else np.asarray(turned.convert("L"))
    except OperatorError:
        raise
    except Image.DecompressionBombError as error:
        raise OperatorError(f"{path}: expected at most 64 million pixels, got far more") from error
    except Exception as error:  # a damaged file can raise anything in a parser
        said = getattr(error, "strerror", None) or "no picture that can be read (PNG, JPEG or TIFF)"
        raise OperatorError(f"{path}: {said}") from error
    if min(grey.shape) < _SMALLEST:
        raise OperatorError(
            f"{path}: expected a picture in the size of the settings, got one of {grey.shape[1]} x {grey.shape[0]}"
        )
    if not (np.isfinite(grey).all() and grey.min() >= 0):
        raise OperatorError(f"{path}: expected grey levels of 0 and more, got others; save it with 8 or 16 bits")
    if deep:  # only corners are looked for: the brightest level is white, whatever the number of bits
        top = float(grey.max()) or 1.0
        grey = (grey.astype(np.float64) * (255.0 / top)).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(grey, np.uint8)
