"""Periodic noise textures, measured in millimetres, from which fur, bedding and sensor noise are cut."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]

TEXEL_PER_MM = 6.0
TILE = 256  # texels on a side: 43 mm, a power of two so that wrapping is one cheap "and"


@lru_cache(maxsize=48)
def noise_tile(seed: int, along_mm: float, across_mm: float, px_per_mm: float) -> NDArray[np.float32]:
    """float32 (TILE, TILE), mean 0 and variance 1 before band limiting: Gaussian noise that repeats without a seam.

    Features are about `along_mm` long on axis 1 and `across_mm` wide on axis 0. What a picture at `px_per_mm` cannot
    resolve is filtered out, so that the same coat at a coarser scale looks like the finer one seen from further away.
    """
    rng = np.random.default_rng([seed, TILE])
    white = rng.standard_normal((TILE, TILE)).astype(np.float32)
    frequency = np.fft.fftfreq(TILE).astype(np.float32) * TEXEL_PER_MM  # cycles per mm
    fy, fx = frequency[:, None], np.abs(frequency[None, : TILE // 2 + 1])
    shape = np.exp(-2.0 * np.pi**2 * ((fx * along_mm / 2.5) ** 2 + (fy * across_mm / 2.5) ** 2))
    shape[0, 0] = 0.0
    spectrum = np.fft.rfft2(white) * shape
    scale = np.fft.irfft2(spectrum, s=(TILE, TILE)).std()
    limit = np.exp(-2.0 * np.pi**2 * (fx**2 + fy**2) * (0.45 / px_per_mm) ** 2)
    tile: NDArray[np.float32] = (np.fft.irfft2(spectrum * limit, s=(TILE, TILE)) / scale).astype(np.float32)
    return tile


def sample(tile: NDArray[np.float32], x_mm: NDArray[np.float32], y_mm: NDArray[np.float32]) -> NDArray[np.float32]:
    """The tile's values at these places (nearest texel, wrapped around)."""
    column = (x_mm * np.float32(TEXEL_PER_MM)).astype(np.int32) & (TILE - 1)
    row = (y_mm * np.float32(TEXEL_PER_MM)).astype(np.int32) & (TILE - 1)
    row *= TILE
    row += column
    values: NDArray[np.float32] = tile.ravel().take(row)
    return values


def smoothstep(
    low: float | np.float32 | Pixels, high: float | np.float32 | Pixels, x: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return 0 below `low`, 1 above `high`, a smooth ramp between: float32 of the shape of `x`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    result: NDArray[np.float32] = (t * t * (3.0 - 2.0 * t)).astype(np.float32)
    return result
