"""The tail of a mouse."""

from __future__ import annotations

import numpy as np

from edge.simulate.near import pixels_near, window_around
from edge.simulate.noise import noise_tile, sample, smoothstep
from edge.simulate.patch import Patch
from edge.simulate.posture import Pose
from edge.simulate.sketch import Sketch
from edge.simulate.view import View


def draw_tail(sketch: Sketch, pose: Pose, view: View) -> Patch | None:
    """The tail: tapered, ringed with scales, thinner and paler in old animals."""
    appearance = sketch.appearance
    window = window_around(pose.tail, 3.0, view)
    if window is None:
        return None
    path = pose.tail
    near = pixels_near(path, np.full(len(path), appearance.tail_thickness_mm + 0.5, np.float32), window, view)
    step = np.gradient(path, axis=0)
    spacing = np.linalg.norm(step, axis=1)
    unit = (step / spacing[:, None]).astype(np.float32)
    offset, forward = near.points - path[near.nearest], unit[near.nearest]
    at = near.nearest * np.float32(spacing.mean()) + (offset * forward).sum(axis=1)
    end = np.float32(spacing.mean() * (len(path) - 1))
    across = offset[:, 0] * forward[:, 1] - offset[:, 1] * forward[:, 0]
    beyond = np.maximum(np.maximum(-at, at - end), 0.0)
    reach = np.sqrt(across * across + beyond * beyond)
    taper = np.array([0.62, 0.48, 0.14]) * appearance.tail_thickness_mm
    radius = np.interp(at / end, (0.0, 0.12, 1.0), taper).astype(np.float32)
    blur = np.float32(0.7 / view.px_per_mm)
    alpha = smoothstep(-blur, blur, radius - reach) * np.clip(radius * view.px_per_mm * 1.2, 0.0, 1.0)
    round_shade = 0.55 + 0.5 * np.sqrt(np.clip(1.0 - (reach / np.maximum(radius, 0.1)) ** 2, 0.0, 1.0))
    rings = 1.0 + 0.10 * np.sin(at * np.float32(2 * np.pi / 0.9)) * np.float32(min(1.0, view.px_per_mm / 4.0))
    mottle = 1.0 + 0.12 * sample(noise_tile(4, 17.0, 13.0, 1.0), at, reach + sketch.seed % 53)
    tint = sketch.palette.tail + (sketch.palette.skin - sketch.palette.tail) * np.float32(
        0.7 * appearance.tail_paleness
    )
    height, width = window[3] - window[1], window[2] - window[0]
    opaque = np.zeros(height * width, np.float32)
    opaque[near.numbers] = alpha
    colour = np.zeros((height * width, len(tint)), np.float32)
    colour[near.numbers] = tint * (round_shade * rings * mottle * alpha)[:, None]
    return Patch(window[0], window[1], colour.reshape(height, width, -1), opaque.reshape(height, width))
