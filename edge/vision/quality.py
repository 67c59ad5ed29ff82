"""Is the picture a measurement at all: dark, overexposed, blurred, obstructed, moved; from the small stream."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from edge.config.tree import Quality as Limits
from edge.contract.reading import Outcome, Quality
from edge.vision import image
from edge.vision.frame import Image

MOVED = "camera_moved"
_DARK, _SATURATED = 8, 250
_BLOCKS = (6, 8)
_FLAT_BELOW = 2.5
"""Grey levels within a block: a cover at the lens shows sensor noise only (below 2), the smooth floor of a real open
field at least 3.1, bedding at least 4.7."""
_COVER_BELOW = 0.6
"""Of the rest's brightness. Only a dark cover is one: a bright flat region may well be a smooth floor."""


def measure_quality(small: Image, limits: Limits, reference: NDArray[np.complex64] | None = None) -> Quality:
    """Return what the small stream, uint8 (h, w) grey, looks like; `reference` comes from `reference_view`."""
    sample = small[::2, ::2]  # a quarter of the pixels gives the same
    counts = np.bincount(sample.ravel(), minlength=256)
    share = counts / counts.sum()
    levels = np.arange(256)
    mean = float(share @ levels)
    contrast = float(np.sqrt(max(0.0, float(share @ (levels - mean) ** 2))))
    shift = None if reference is None else shift_against(small, reference)
    flags = (MOVED,) if shift is not None and shift > limits.max_reference_shift_px else ()
    return Quality(
        mean_grey=round(mean, 2),
        dark_fraction=round(float(share[:_DARK].sum()), 4),
        saturated_fraction=round(float(share[_SATURATED:].sum()), 4),
        sharpness=round(_sharpness(small), 3),
        contrast=round(contrast, 2),
        covered_fraction=round(covered_fraction(sample), 3),
        reference_shift_px=None if shift is None else round(shift, 2),
        flags=flags,
    )


def judge_quality(quality: Quality, limits: Limits) -> tuple[Outcome, str]:
    """Return `OK`, or the first limit that is broken, in figures. A moved camera is a flag, not a refusal."""
    if quality.mean_grey < limits.min_mean_grey:
        return Outcome.DARK, f"mean grey {quality.mean_grey:.1f}, at least {limits.min_mean_grey:g} needed"
    if quality.saturated_fraction > limits.max_saturated_fraction:
        return (
            Outcome.OVEREXPOSED,
            f"{quality.saturated_fraction:.0%} saturated, at most {limits.max_saturated_fraction:.0%} allowed",
        )
    if quality.contrast < limits.min_contrast:
        return Outcome.OBSTRUCTED, f"contrast {quality.contrast:.1f}, at least {limits.min_contrast:g} needed"
    if quality.covered_fraction > limits.max_covered_fraction:
        return (
            Outcome.OBSTRUCTED,
            f"{quality.covered_fraction:.0%} of the view is covered, at most {limits.max_covered_fraction:.0%} allowed",
        )
    if quality.sharpness < limits.min_sharpness:
        return Outcome.BLURRED, f"sharpness {quality.sharpness:.2f}, at least {limits.min_sharpness:g} needed"
    return Outcome.OK, ""


def covered_fraction(small: Image) -> float:
    """Return the share of a uint8 (h, w) view's 6 x 8 blocks that are flat, and dark beside the blocks that are not.

    0 where every block is flat: then nothing shows what is covered, and the contrast of the whole decides.
    """
    rows, columns = _BLOCKS
    small = small[::2, ::2]  # a quarter of the pixels shows a block's spread as well
    height, width = small.shape[0] // rows, small.shape[1] // columns
    if height < 2 or width < 2:
        return 0.0
    view = small[: height * rows, : width * columns].astype(np.float32)
    blocks = view.reshape(rows, height, columns, width).transpose(0, 2, 1, 3).reshape(rows * columns, -1)
    means, flat = blocks.mean(axis=1), blocks.std(axis=1) < _FLAT_BELOW
    if flat.all():
        return 0.0
    return float((flat & (means < _COVER_BELOW * means[~flat].mean())).mean())


def reference_view(small: Image) -> NDArray[np.complex64]:
    """Return the reduced, whitened spectrum, complex64 (h, w // 2 + 1), of a view, uint8 (height, width) grey.

    For comparison by phase correlation (Kuglin & Hines, 1975).
    """
    spectrum = np.fft.rfft2(_windowed(small))
    whitened: NDArray[np.complex64] = (spectrum / (np.abs(spectrum) + 1e-3)).astype(np.complex64)
    return whitened


def shift_against(small: Image, reference: NDArray[np.complex64]) -> float | None:
    """Return how far the view has moved, small-stream pixels; None where the views do not compare."""
    spectrum = reference_view(small)
    if spectrum.shape != reference.shape or min(spectrum.shape) < 2:
        return None
    step = _step(small)
    surface = np.fft.irfft2(spectrum * reference.conj())
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    peak = float(surface[row, column])
    if peak <= 6 * float(surface.std()):
        return None
    dy = min(int(row), surface.shape[0] - int(row))
    dx = min(int(column), surface.shape[1] - int(column))
    return float(np.hypot(dx, dy)) * step


def _windowed(small: Image) -> NDArray[np.float32]:
    """Return the view at a quarter of a usual small stream's width, where its borders fade out."""
    step = _step(small)
    view = image.resize(small, max(1, small.shape[1] // step), max(1, small.shape[0] // step)).astype(np.float32)
    windowed: NDArray[np.float32] = (view - view.mean()) * _window(view.shape[0], view.shape[1])
    return windowed


@cache
def _window(height: int, width: int) -> NDArray[np.float32]:
    """Return the window, float32 (height, width), under which a view's borders fade out."""
    window: NDArray[np.float32] = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    return window


def _step(small: Image) -> int:
    return max(1, int(small.shape[1]) // 80)


def _sharpness(small: Image) -> float:
    """Return the standard deviation of the Laplacian on every fourth row, grey levels; 0 where there is none."""
    if min(small.shape) < 3:
        return 0.0
    above, middle, below = (small[offset : small.shape[0] - 2 + offset : 4].astype(np.int16) for offset in range(3))
    laplacian = 4 * middle[:, 1:-1] - above[:, 1:-1] - below[:, 1:-1] - middle[:, :-2] - middle[:, 2:]
    return float(laplacian.astype(np.float32).std())
