"""From the light that leaves the scene to the numbers that leave the camera."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge.simulate.setup import CageSetup
from edge.simulate.truth import Light

_LEVELS = 4096
_STRIP_ROWS = 48  # worked on strip by strip, so that the intermediates stay in the processor's cache
_NOISE_LENGTH = 2**19  # each strip takes its noise from another random place in here

# Shot noise (variance per unit of signal) and read noise (standard deviation), signal 1 = white; the infrared
# exposure is taken at a higher gain.
_NOISE = {"white": (0.00035, 0.0022), "infrared": (0.0011, 0.0050)}
_GAIN = {"white": 0.88, "infrared": 0.98}


@lru_cache(maxsize=1)
def _encoding() -> NDArray[np.uint8]:
    """uint8 (4096,): the camera's tone curve, the standard sRGB one."""
    linear = np.arange(_LEVELS) / (_LEVELS - 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(curve * 255).astype(np.uint8)


@lru_cache(maxsize=2)
def _noise(length: int) -> NDArray[np.float32]:
    """Return so much noise; what is more than _NOISE_LENGTH repeats."""
    return np.resize(np.random.default_rng(0x5E50).standard_normal(_NOISE_LENGTH).astype(np.float32), length)


def expose(
    scene: NDArray[np.float32], setup: CageSetup, light: Light, exposure_factor: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB: the photograph of a linear scene, float32 (H, W, 3) or in infrared (H, W, 1).

    Adds the lens' vignetting, the setup's exposure and white balance, shot and read noise, clipping and the tone
    curve. An infrared picture is grey: its three channels are equal.
    """
    height, width, channels = scene.shape
    gain = _GAIN[light] * exposure_factor * (setup.lamp_gain if light == "white" else setup.infrared_gain)
    gain *= float(np.exp(rng.normal(0, 0.008)))
    balance = np.array(setup.white_balance if channels == 3 else (1.0,), np.float32) * np.float32(gain)
    shot, read = (value * setup.sensor_noise for value in _NOISE[light])
    fall = setup.vignetting * (1.0 if light == "white" else 1.5)
    x = (np.arange(width, dtype=np.float32) - width / 2) / np.float32(width / 2)
    y = (np.arange(height, dtype=np.float32) - height / 2) / np.float32(height / 2)
    curve = _encoding()
    pool = _noise(max(_NOISE_LENGTH, 2 * _STRIP_ROWS * width * channels))
    image = np.empty((height, width, 3), np.uint8)
    for start in range(0, height, _STRIP_ROWS):
        rows = slice(start, min(start + _STRIP_ROWS, height))
        lens = 1.0 - np.float32(fall / 2) * (x[None, :] ** 2 + y[rows, None] ** 2)
        signal = scene[rows] * (lens[..., None] * balance)
        first = int(rng.integers(0, len(pool) - signal.size))
        noise = pool[first : first + signal.size].reshape(signal.shape)
        signal += noise * np.sqrt(signal * np.float32(shot) + np.float32(read * read))
        np.clip(signal, 0.0, 1.0, out=signal)
        image[rows] = curve[(signal * np.float32(_LEVELS - 1)).astype(np.uint16)]
    return image
