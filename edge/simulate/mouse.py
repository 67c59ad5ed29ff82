"""One mouse as patches: body with head and paws, and tail, lit from the lamp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.simulate.coat import grow_fur
from edge.simulate.face import Painter, draw_face, draw_paws, draw_whiskers
from edge.simulate.near import pixels_near, window_around
from edge.simulate.noise import smoothstep
from edge.simulate.patch import Patch
from edge.simulate.posture import Pose
from edge.simulate.sketch import Sketch
from edge.simulate.tail import draw_tail
from edge.simulate.view import View

Pixels = NDArray[np.float32]

_MARGIN_MM = 9.0  # room around the spine's box for whiskers, ears and ragged fur beyond the half width


@dataclass(frozen=True, eq=False)
class DrawnMouse:
    """The patches of one animal, bottom first, and the mask of its body with head and ears (same place as `body`)."""

    tail: Patch | None
    body: Patch | None
    mask: NDArray[np.bool_]


def draw_mouse(sketch: Sketch, pose: Pose, view: View) -> DrawnMouse:
    """The animal's patches in this view; parts outside the picture are cut off, and None where nothing is left."""
    tail = draw_tail(sketch, pose, view)
    window = window_around(pose.spine, float(pose.half_width_mm.max()) + _MARGIN_MM, view)
    if window is None:
        return DrawnMouse(tail, None, np.zeros((0, 0), bool))
    body, mask = _draw_body(sketch, pose, view, window)
    return DrawnMouse(tail, body, mask)


def _draw_body(
    sketch: Sketch, pose: Pose, view: View, window: tuple[int, int, int, int]
) -> tuple[Patch, NDArray[np.bool_]]:
    height, width = window[3] - window[1], window[2] - window[0]
    spread = np.where(pose.at_mm < 0.36 * pose.length_mm, np.float32(9.0), np.float32(4.0))
    near = pixels_near(pose.spine, pose.half_width_mm + spread, window, view)
    offset = near.points - pose.spine[near.nearest]
    left = (offset * pose.left[near.nearest]).sum(axis=1)
    # On the outside of a bend the same step along the spine covers more floor; without this the fur shows a grid.
    stretch = np.maximum(1.0 - pose.curvature()[near.nearest] * left, np.float32(0.3))
    at = pose.at_mm[near.nearest] + (offset * pose.along[near.nearest]).sum(axis=1) / stretch
    u = at / np.float32(pose.length_mm)
    beyond = np.maximum(np.maximum(-at, at - np.float32(pose.length_mm)), 0.0)
    reach = np.sqrt(left * left + beyond * beyond)
    half_width = np.interp(at, pose.at_mm, pose.half_width_mm).astype(np.float32)
    fur = grow_fur(
        sketch.appearance, sketch.strain, sketch.palette, sketch.seed, at, left, pose.length_mm, view.px_per_mm
    )
    edge = half_width + fur.edge_mm * (1.0 - 0.75 * smoothstep(-0.30, -0.16, -u))
    soft = np.float32(0.45 + 0.5 * sketch.appearance.roughness + 0.35 / view.px_per_mm)
    alpha = smoothstep(-soft, soft, edge - reach)
    dome = np.sqrt(np.clip(1.0 - (reach / np.maximum(edge, 0.3)) ** 2, 0.0, 1.0))
    surface = np.zeros(height * width, np.float32)
    surface[near.numbers] = np.interp(at, pose.at_mm, pose.height_mm).astype(np.float32) * dome + fur.relief_mm
    light, mirrored = _shade(sketch, surface.reshape(height, width), dome, near.numbers, view)
    colour = fur.colour * light[:, None] + (mirrored * fur.gloss)[:, None] * _sheen(sketch)
    if sketch.appearance.kyphosis > 0.05:  # the spine shows as a bony ridge
        ridge = np.exp(-((left / 1.3) ** 2)) * np.exp(-(((u - 0.62) / 0.2) ** 2))
        colour *= (1.0 + 0.45 * sketch.appearance.kyphosis * ridge)[:, None]
    scale = pose.scale_mm / 95.0
    painter = Painter(at, left, colour, alpha, view.px_per_mm)
    painter.under(draw_paws(pose, at, left, scale), sketch.palette.skin * np.float32(0.8))
    head = np.flatnonzero(u < 0.40)
    face = Painter(at[head], left[head], painter.colour[head], painter.alpha[head], view.px_per_mm)
    draw_face(face, sketch, pose, scale)
    painter.colour[head], painter.alpha[head] = face.colour, face.alpha
    opaque = np.zeros(height * width, np.float32)
    opaque[near.numbers] = painter.alpha
    premultiplied = np.zeros((height * width, colour.shape[1]), np.float32)
    premultiplied[near.numbers] = painter.colour * painter.alpha[:, None]
    patch = Patch(window[0], window[1], premultiplied.reshape(height, width, -1), opaque.reshape(height, width))
    mask = patch.alpha > 0.5
    if sketch.appearance.barbering < 0.5:
        draw_whiskers(patch, pose, view, scale)
    return patch, mask


def _sheen(sketch: Sketch) -> Pixels:
    """Colour (C,) that a glossy coat mirrors from the lamp: bluish grey in white light."""
    if len(sketch.palette.coat) == 1:
        return np.array([0.085], np.float32)
    return np.array([0.060, 0.062, 0.068], np.float32)


def _shade(
    sketch: Sketch, height_mm: Pixels, dome: Pixels, numbers: NDArray[np.intp], view: View
) -> tuple[Pixels, Pixels]:
    """Diffuse light (n,), about 1 on the flat, and the specular share (n,) at these pixels of a surface (h, w)."""
    dy, dx = (slope.ravel()[numbers] * np.float32(view.px_per_mm) for slope in np.gradient(height_mm))
    inverse = 1.0 / np.sqrt(1.0 + dx * dx + dy * dy)
    lx, ly, lz = sketch.lamp
    facing = np.clip((lz - dx * lx - dy * ly) * inverse, 0.0, 1.0)
    hx, hy, hz = (float(part) for part in np.array([lx, ly, lz + 1.0]) / np.linalg.norm([lx, ly, lz + 1.0]))
    mirror = np.clip((hz - dx * hx - dy * hy) * inverse, 0.0, 1.0) ** 2
    mirror *= mirror
    ambient = sketch.ambient * (0.45 + 0.55 * dome)
    return (ambient + (1.0 - sketch.ambient) * facing / lz).astype(np.float32), (mirror * mirror).astype(np.float32)
