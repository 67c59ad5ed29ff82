"""A picture reduced by a whole factor: the one pass over all of a large frame.

Each pixel of the result is the mean of four of its block's pixels, those that lie about the middles of the block's
quarters: for a factor of two the whole block, for three its corners. A general resize reads every pixel several times,
and turning the frame into the image library's own form first costs more than all of this. All arithmetic is in whole
numbers of eight bits, so that every machine gives the same bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.vision.pixels import Image

_ROWS = 64
"""Rows of the result at a time: their working memory stays in the processor's cache."""
_HALVES = np.uint32(0x7F7F7F7F)


def reduce_by(pixels: Image, factor: int) -> Image:
    """Return uint8 (ceil(h / factor), ceil(w / factor), 4): R, G, B and a byte without meaning, of RGB uint8 (h, w, 3).

    Blocks that reach over the picture's right or lower border see its last column or row again. The mean of four is
    that of two means of two: the first, of two rows, rounded down, the second, of two columns, rounded up.
    """
    height, width = pixels.shape[:2]
    rows, columns = -(-height // factor), -(-width // factor)
    near = factor // 4
    far = factor - 1 - near
    padded = columns * factor
    # Pixels are read four bytes at a time, the last of which belongs to the next: four more bytes stand at the end.
    mean = np.empty(_ROWS * padded * 3 + 4, np.uint8)
    both = np.empty(_ROWS * width * 3, np.uint8)
    left, right, odd = (np.empty((_ROWS, columns), np.uint32) for _ in range(3))
    result = np.empty((rows, columns), np.uint32)
    for begin in range(0, rows, _ROWS):
        upper = _every(pixels, begin * factor + near, factor, min(rows - begin, _ROWS))
        count = upper.shape[0]
        lower = _every(pixels, begin * factor + far, factor, count)
        count = min(count, lower.shape[0])
        if count:
            _average_rows(upper[:count], lower[:count], mean, both, padded)
            _average_columns(mean, (near, far), factor, padded, (left, right, odd), result[begin : begin + count])
        if begin + count < rows and begin + _ROWS >= rows:  # the last block is not whole: its rows are the border's
            last = min(height - 1, (rows - 1) * factor + near)
            _average_rows(_every(pixels, last, 1, 1), _every(pixels, height - 1, 1, 1), mean, both, padded)
            _average_columns(mean, (near, far), factor, padded, (left, right, odd), result[rows - 1 :])
    return result.view(np.uint8).reshape(rows, columns, 4)


def _every(pixels: Image, first: int, step: int, most: int) -> Image:
    """Return up to `most` rows, (n, 3 * w), every `step`-th from the first on."""
    chosen = pixels[first : first + (most - 1) * step + 1 : step]
    return chosen.reshape(chosen.shape[0], pixels.shape[1] * 3)


def _average_rows(upper: Image, lower: Image, mean: Image, both: Image, padded: int) -> None:
    """Write the means of two sets of rows into `mean`, as rows of `padded` pixels, rounded down."""
    count, bytes_wide = upper.shape
    rows = mean[: count * padded * 3].reshape(count, padded * 3)
    differ = both[: count * bytes_wide].reshape(count, bytes_wide)
    inner = rows[:, :bytes_wide]
    np.bitwise_xor(upper, lower, out=differ)
    np.bitwise_and(upper, lower, out=inner)
    np.right_shift(differ, 1, out=differ)
    np.add(inner, differ, out=inner)
    if bytes_wide < padded * 3:
        beyond = rows[:, bytes_wide:].reshape(count, -1, 3)
        beyond[:] = inner[:, None, -3:]


def _average_columns(
    mean: Image,
    at: tuple[int, int],
    factor: int,
    padded: int,
    work: tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]],
    result: NDArray[np.uint32],
) -> None:
    """Write the means of the two columns of each block into `result`, rounded up."""
    count, columns = result.shape
    left, right, odd = (one[:count] for one in work)
    for into, column in ((left, at[0]), (right, at[1])):
        steps = (padded * 3, factor * 3)
        into[:] = np.ndarray((count, columns), np.uint32, buffer=mean, offset=column * 3, strides=steps)
    np.bitwise_xor(left, right, out=odd)
    np.bitwise_or(left, right, out=left)
    np.right_shift(odd, 1, out=odd)
    np.bitwise_and(odd, _HALVES, out=odd)
    np.subtract(left, odd, out=result)
