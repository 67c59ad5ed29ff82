"""What is in a crop besides the animal: squares of grey outside an ellipse about the body's axis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SQUARES = 24
"""Squares along the crop; as many across as keep them square."""


def outside_body(height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask (height, width) outside the ellipse that the crop's edges touch.

    The crop has the body's axis along its middle, snout right. A body that is wider than the crop reaches beyond it,
    and so does a bent one: what a background tells is then a little too much, never too little.
    """
    y, x = np.mgrid[0:height, 0:width]
    outside: NDArray[np.bool_] = ((x + 0.5) / width * 2 - 1) ** 2 + ((y + 0.5) / height * 2 - 1) ** 2 > 1
    return outside


def background(crops: NDArray[np.uint8]) -> Floats:
    """Return features (n, k): mean grey and its spread of each square that lies half outside the body."""
    height, width = crops.shape[1:3]
    size = max(1, width // SQUARES)
    rows, columns = height // size, width // size
    free = outside_body(height, width)[: rows * size, : columns * size].reshape(rows, size, columns, size)
    share = free.mean(axis=(1, 3))
    kept = share >= 0.5
    found = []
    for part in np.array_split(crops, max(1, len(crops) // 256)):
        grey = part[:, : rows * size, : columns * size].mean(axis=3, dtype=np.float32)
        squares = grey.reshape(-1, rows, size, columns, size) * free
        mean = squares.sum(axis=(2, 4)) / np.maximum(1, free.sum(axis=(1, 3)))
        square = (squares**2).sum(axis=(2, 4)) / np.maximum(1, free.sum(axis=(1, 3)))
        spread = np.sqrt(np.maximum(0, square - mean**2))
        found.append(np.concatenate([mean[:, kept], spread[:, kept]], axis=1))
    return np.concatenate(found).astype(float)


def small_grey(crops: NDArray[np.uint8], squares: int = SQUARES) -> Floats:
    """Return the whole crops as features (n, k): mean grey of squares, `squares` along the crop."""
    height, width = crops.shape[1:3]
    size = max(1, width // squares)
    rows, columns = height // size, width // size
    found = [
        part[:, : rows * size, : columns * size]
        .mean(axis=3, dtype=np.float32)
        .reshape(-1, rows, size, columns, size)
        .mean(axis=(2, 4))
        .reshape(len(part), -1)
        for part in np.array_split(crops, max(1, len(crops) // 256))
    ]
    return np.concatenate(found).astype(float)
