"""The shape of a mouse seen from above: a spine from snout to tail base, width and height along it, and a tail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import OperatorError
from edge.simulate.activity import Placement
from edge.simulate.appearance import Appearance

Points = NDArray[np.float32]

SPINE_POINTS = 44
EAR_AT = 0.225  # along the spine
EAR_OUT = 0.090  # of the body's length, to either side

# posture: length, width, height (factors), bend of the whole spine in rad (least, most), sway of the spine in rad
_SHAPES: dict[str, tuple[float, float, float, float, float, float]] = {
    "stretched": (1.00, 0.94, 0.90, 0.00, 0.45, 0.10),
    "walking": (0.93, 1.00, 1.00, 0.05, 1.00, 0.22),
    "rearing": (0.62, 1.02, 1.50, 0.00, 0.35, 0.05),
    "grooming": (0.74, 1.13, 1.20, 0.20, 0.95, 0.08),
    "curled": (0.80, 1.08, 1.10, 4.30, 5.10, 0.00),
    "huddled": (0.78, 1.10, 1.15, 0.70, 1.70, 0.00),
}
# Widths along the spine (0 snout, 1 tail base): the head in units of the body's length, the trunk in units of the
# girth.
_HEAD = ((0.0, 0.025, 0.06, 0.11, 0.16, 0.21, 0.28, 1.0), (0.020, 0.044, 0.070, 0.095, 0.112, 0.118, 0.120, 0.120))
_TRUNK = (
    (0.0, 0.22, 0.30, 0.40, 0.52, 0.64, 0.76, 0.86, 0.93, 0.97, 1.0),
    (0.29, 0.30, 0.345, 0.40, 0.465, 0.50, 0.495, 0.43, 0.31, 0.20, 0.09),
)


@dataclass(frozen=True, eq=False)
class Pose:
    """One animal's outline on the floor, in millimetres.

    `spine`, `along` (unit, towards the tail) and `left` (unit, the animal's left) are float32 (K, 2); `at_mm`,
    `half_width_mm` and `height_mm` float32 (K,) at the same places; `tail` float32 (M, 2) from base to tip.
    """

    spine: Points
    along: Points
    left: Points
    at_mm: Points
    half_width_mm: Points
    height_mm: Points
    tail: Points
    length_mm: float
    scale_mm: float  # length of the same animal when stretched: the size of head, ears and paws

    def curvature(self) -> Points:
        """Bend of the spine in 1/mm, float32 (K,), positive where it turns to the animal's `left` vector."""
        turn = np.gradient(np.unwrap(np.arctan2(self.along[:, 1], self.along[:, 0])))
        bend: Points = (turn / np.gradient(self.at_mm)).astype(np.float32)
        return bend

    def point(self, at_mm: float, left_mm: float) -> tuple[float, float]:
        """Floor position of the place `at_mm` behind the snout and `left_mm` to the animal's left."""
        index = int(np.clip(round(at_mm / self.length_mm * (SPINE_POINTS - 1)), 0, SPINE_POINTS - 1))
        place = self.spine[index] + self.left[index] * left_mm + self.along[index] * (at_mm - self.at_mm[index])
        return (float(place[0]), float(place[1]))


def take_posture(
    appearance: Appearance,
    placement: Placement,
    rng: np.random.Generator,
    field_mm: tuple[float, float],
    wall_mm: float,
) -> Pose:
    """The pose of this animal at a settled placement (position, heading and bend given), kept inside the walls."""
    if placement.position_mm is None or placement.heading_rad is None or placement.bend is None:
        raise OperatorError(f"placement: expected position, heading and bend to be settled, got {placement}")
    length_factor, width_factor, height_factor, least, most, sway = _SHAPES[placement.posture]
    length = appearance.body_length_mm * length_factor * (1.0 - 0.09 * appearance.kyphosis)
    u = np.linspace(0.0, 1.0, SPINE_POINTS)
    side = math.copysign(1.0, placement.bend)
    bend = side * (least + (most - least) * abs(placement.bend))
    swing = rng.uniform(-sway, sway)
    heading = placement.heading_rad + math.pi + bend * (u - 0.45) + swing * np.sin(2 * math.pi * u)
    step = length / (SPINE_POINTS - 1)
    along = np.stack([np.cos(heading), np.sin(heading)], -1)
    spine = np.concatenate([np.zeros((1, 2)), np.cumsum((along[1:] + along[:-1]) / 2 * step, axis=0)])
    middle = spine.mean(axis=0) if placement.posture == "curled" else spine[SPINE_POINTS * 11 // 20]
    spine += np.array(placement.position_mm) - middle
    half_width, height = _profile(appearance, u, width_factor, height_factor, placement.posture == "rearing")
    spine += _push_inside(spine, half_width, field_mm, wall_mm)
    tail = _draw_tail(spine[-1], float(heading[-1]), appearance.tail_length_mm, placement, side, rng)
    return Pose(
        spine=spine.astype(np.float32),
        along=along.astype(np.float32),
        # Facing away from the tail with y down: left of (dx, dy) is (dy, -dx), and the animal faces -along.
        left=np.stack([-along[:, 1], along[:, 0]], -1).astype(np.float32),
        at_mm=(u * length).astype(np.float32),
        half_width_mm=half_width.astype(np.float32),
        height_mm=height.astype(np.float32),
        tail=tail.astype(np.float32),
        length_mm=length,
        scale_mm=appearance.body_length_mm,
    )


def _profile(
    appearance: Appearance, u: NDArray[np.float64], width_factor: float, height_factor: float, rearing: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Half width and height along the spine: the head follows the skeleton's size, the trunk the girth."""
    head = np.interp(u, *_HEAD) * appearance.body_length_mm
    trunk = np.interp(u, *_TRUNK) * appearance.girth_mm * width_factor
    trunk *= 1.0 + 0.22 * appearance.obesity * np.exp(-(((u - 0.66) / 0.16) ** 2))
    # A wasted animal narrows behind the ribs, in front of the hips.
    trunk *= 1.0 - 0.13 * appearance.kyphosis * np.exp(-(((u - 0.52) / 0.10) ** 2))
    blend = np.clip((u - 0.20) / 0.18, 0.0, 1.0)
    blend = blend * blend * (3.0 - 2.0 * blend)
    half_width = head * (1.0 - blend) + trunk * blend
    height = half_width * np.interp(u, (0, 0.2, 0.35, 0.6, 0.85, 1.0), (1.1, 1.25, 1.2, 1.35, 1.3, 1.0)) * height_factor
    height *= 1.0 + 0.65 * appearance.kyphosis * np.exp(-(((u - 0.60) / 0.13) ** 2))
    if rearing:  # the head is nearest to the camera
        lift = 1.0 + 0.22 * (1.0 - u)
        half_width, height = half_width * lift, height + 14.0 * (1.0 - u)
    return half_width, height


def _push_inside(
    spine: NDArray[np.float64], half_width: NDArray[np.float64], field_mm: tuple[float, float], wall_mm: float
) -> NDArray[np.float64]:
    """The shift (2,) that brings the body inside the walls."""
    low = (spine - 0.7 * half_width[:, None]).min(axis=0) - wall_mm
    high = np.array(field_mm) - wall_mm - (spine + 0.7 * half_width[:, None]).max(axis=0)
    shift: NDArray[np.float64] = np.maximum(-low, 0.0) + np.minimum(high, 0.0)
    return shift


def _draw_tail(
    base: NDArray[np.float64],
    heading: float,
    length_mm: float,
    placement: Placement,
    side: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The tail's centre line, float64 (M, 2): wrapped around a sleeper, trailing in a loose curve behind others."""
    v = np.linspace(0.0, 1.0, 36)
    if placement.posture == "curled":
        turn = heading + side * (0.35 + 3.6 * v)
    elif placement.posture == "huddled":
        turn = heading + side * (0.2 + 2.6 * v)
    else:
        turn = (
            heading
            + rng.normal(0, 0.25)
            + rng.normal(0, 0.8) * v
            + rng.normal(0, 0.5) * np.sin(math.pi * (v + rng.uniform(0, 1)))
        )
        turn = turn + (heading - turn[0]) * np.exp(-v / 0.08)
    step = length_mm / (len(v) - 1)
    path = np.cumsum(np.stack([np.cos(turn), np.sin(turn)], -1) * step, axis=0)
    tail: NDArray[np.float64] = base + np.concatenate([np.zeros((1, 2)), path[:-1]])
    return tail
