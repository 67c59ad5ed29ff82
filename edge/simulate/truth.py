"""The ground truth that comes with every simulated frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.simulate.activity import Posture
from edge.simulate.appearance import Appearance

Light = Literal["white", "infrared"]
Box = tuple[int, int, int, int]
Keypoint = tuple[float, float, bool]

PARTS = ("snout", "left_ear", "right_ear", "tail_base")


@dataclass(frozen=True)
class AnimalTruth:
    """What is true of one animal in one frame.

    `box` (x0, y0, x1, y1; half-open pixels) encloses what can be seen of the body with head and ears, without the tail;
    it is None where nothing can be seen. `visible_fraction` compares the same pixels with those of the whole body.
    `keypoints` maps a part to (x, y, visible) in pixels, pixel centres at .5; a hidden or outlying part has visible
    False.
    """

    subject_id: str
    age_days: float
    appearance: Appearance
    posture: Posture
    in_nest: bool
    visible_fraction: float
    box: Box | None
    keypoints: dict[str, Keypoint]


@dataclass(frozen=True)
class FrameTruth:
    """What is true of one frame: its scale, its light and its animals."""

    px_per_mm: float
    light: Light
    animals: tuple[AnimalTruth, ...]


@dataclass(frozen=True, eq=False)
class SimulatedFrame:
    """A photograph with its ground truth; `image` is uint8 (H, W, 3) RGB."""

    image: NDArray[np.uint8]
    truth: FrameTruth
