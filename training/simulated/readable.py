"""Which simulated animals the device would read an age of, and the crop that it would read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.simulate.truth import AnimalTruth, FrameTruth
from edge.vision.preprocess import age_input
from training.networks.shapes import age_spec

_JITTER_MM = 1.0
"""What the locator is off by, about."""


def readable_crop(
    image: NDArray[np.uint8], truth: FrameTruth, animal: AnimalTruth, rng: np.random.Generator
) -> NDArray[np.uint8] | None:
    """Return the age crop uint8 (160, 384, 1) with the locator's usual error, or None where the device gives no age.

    Readable is who is stretched out, four fifths visible, with snout and tail base seen, the crop in the picture.
    """
    snout, tail_base = animal.keypoints["snout"], animal.keypoints["tail_base"]
    if animal.posture in ("curled", "huddled") or animal.visible_fraction <= 0.8 or not (snout[2] and tail_base[2]):
        return None
    off = rng.normal(0, _JITTER_MM * truth.px_per_mm, 4)
    crop = age_input(
        image,
        (snout[0] + off[0], snout[1] + off[1]),
        (tail_base[0] + off[2], tail_base[1] + off[3]),
        truth.px_per_mm,
        age_spec(),
    )
    return None if crop.is_partial else crop.pixels
