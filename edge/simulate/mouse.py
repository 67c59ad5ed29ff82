"""One mouse as a patch: body, head, paws and tail, lit from the lamp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from edge.simulate.appearance import Appearance
from edge.simulate.coat import Palette, grow_fur
from edge.simulate.noise import noise_tile, sample, smoothstep
from edge.simulate.patch import Patch
from edge.simulate.posture import EAR_AT, EAR_OUT, Pose
from edge.simulate.strains import Strain
from edge.simulate.view import View

Pixels = NDArray[np.float32]

_MARGIN_MM = 9.0  # room around the spine's box for whiskers, ears and ragged fur beyond the half width


@dataclass(frozen=True, eq=False)
class DrawnMouse:
    """The patches of one animal, bottom first, and the mask of its body with head and ears (same place as `body`)."""

    tail: Patch | None
    body: Patch | None
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Sketch:
    """What drawing one animal needs to know besides its pose."""

    appearance: Appearance
    strain: Strain
    palette: Palette
    seed: int
    lamp: tuple[float, float, float]
    ambient: float


def draw_mouse(sketch: Sketch, pose: Pose, view: View) -> DrawnMouse:
    """The animal's patches in this view; parts outside the picture are cut off, and None where nothing is left."""
    tail = _draw_tail(sketch, pose, view)
    window = _window(pose.spine, float(pose.half_width_mm.max()) + _MARGIN_MM, view)
    if window is None:
        return DrawnMouse(tail, None, np.zeros((0, 0), bool))
    body, mask = _draw_body(sketch, pose, view, window)
    return DrawnMouse(tail, body, mask)


def _window(points_mm: Pixels, margin_mm: float, view: View) -> tuple[int, int, int, int] | None:
    """Half-open pixel box around floor points with a margin, cut to the picture; None where it lies outside."""
    pixels = view.to_px(points_mm)
    low, high = pixels.min(axis=0) - margin_mm * view.px_per_mm, pixels.max(axis=0) + margin_mm * view.px_per_mm
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    x1, y1 = min(view.width_px, int(high[0]) + 1), min(view.height_px, int(high[1]) + 1)
    return (x0, y0, x1, y1) if x1 - x0 >= 2 and y1 - y0 >= 2 else None


@dataclass(frozen=True, eq=False)
class _Near:
    """Pixels of a window near a path: flat numbers (n,), floor positions (n, 2), nearest path points (n,)."""

    numbers: NDArray[np.intp]
    points: Pixels
    nearest: NDArray[np.intp]


def _pixels_near(path: Pixels, limit_mm: Pixels, window: tuple[int, int, int, int], view: View) -> _Near:
    """The window's pixels within `limit_mm` (one for each path point) of the path.

    The nearest point is looked up on a coarse grid: where it is off by one, body coordinates change by nothing visible.
    """
    x0, y0, x1, y1 = window
    stride = max(1, round(0.75 * view.px_per_mm))
    rows, columns = np.mgrid[y0:y1:stride, x0:x1:stride].astype(np.float32) + np.float32(stride / 2)
    grid = view.to_mm(np.stack([columns, rows], -1))
    dx = grid[..., 0, None] - path[:, 0]
    dy = grid[..., 1, None] - path[:, 1]
    squared = dx * dx + dy * dy
    coarse = squared.argmin(axis=-1)
    close = np.take_along_axis(squared, coarse[..., None], -1)[..., 0] < (limit_mm[coarse] + 1.2) ** 2
    height, width = y1 - y0, x1 - x0
    near = close.repeat(stride, 0).repeat(stride, 1)[:height, :width]
    index = coarse.repeat(stride, 0).repeat(stride, 1)[:height, :width]
    row, column = np.nonzero(near)
    centres = np.stack([column + np.float32(x0 + 0.5), row + np.float32(y0 + 0.5)], -1).astype(np.float32)
    return _Near(row * width + column, view.to_mm(centres), index[row, column])


def _draw_body(
    sketch: Sketch, pose: Pose, view: View, window: tuple[int, int, int, int]
) -> tuple[Patch, NDArray[np.bool_]]:
    height, width = window[3] - window[1], window[2] - window[0]
    spread = np.where(pose.at_mm < 0.36 * pose.length_mm, np.float32(9.0), np.float32(4.0))
    near = _pixels_near(pose.spine, pose.half_width_mm + spread, window, view)
    offset = near.points - pose.spine[near.nearest]
    at = pose.at_mm[near.nearest] + (offset * pose.along[near.nearest]).sum(axis=1)
    left = (offset * pose.left[near.nearest]).sum(axis=1)
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
    painter = _Painter(at, left, colour, alpha, view.px_per_mm)
    painter.under(_draw_paws(pose, at, left, scale), sketch.palette.skin * np.float32(0.8))
    head = np.flatnonzero(u < 0.40)
    face = _Painter(at[head], left[head], painter.colour[head], painter.alpha[head], view.px_per_mm)
    _draw_face(face, sketch, pose, scale)
    painter.colour[head], painter.alpha[head] = face.colour, face.alpha
    opaque = np.zeros(height * width, np.float32)
    opaque[near.numbers] = painter.alpha
    premultiplied = np.zeros((height * width, colour.shape[1]), np.float32)
    premultiplied[near.numbers] = painter.colour * painter.alpha[:, None]
    patch = Patch(window[0], window[1], premultiplied.reshape(height, width, -1), opaque.reshape(height, width))
    mask = patch.alpha > 0.5
    if sketch.appearance.barbering < 0.5:
        _draw_whiskers(patch, pose, view, scale)
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


class _Painter:
    """Paints spots in body coordinates over (or under) what is there; all arrays are (n,) or (n, C)."""

    def __init__(self, at: Pixels, left: Pixels, colour: Pixels, alpha: Pixels, px_per_mm: float) -> None:
        self.at, self.left, self.colour, self.alpha = at, left, colour, alpha
        self.blur = 0.7 / px_per_mm

    def spot(
        self, at_mm: float, left_mm: float, radii_mm: tuple[float, float], turn: float = 0.0, soft: float = 0.0
    ) -> Pixels:
        """Coverage (n,) of an ellipse, softened by a pixel or by `soft` mm."""
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        dx, dy = self.at - np.float32(at_mm), self.left - np.float32(left_mm)
        along, across = (dx * cos + dy * sin) / np.float32(radii_mm[0]), (dy * cos - dx * sin) / np.float32(radii_mm[1])
        distance = (1.0 - np.sqrt(along * along + across * across)) * np.float32(min(radii_mm))
        ramp = max(self.blur, soft)
        return smoothstep(-ramp, ramp, distance)

    def over(self, share: Pixels, tint: Pixels) -> None:
        """Paint over."""
        self.colour += (tint - self.colour) * share[..., None]
        self.alpha = np.maximum(self.alpha, share)

    def under(self, share: Pixels, tint: Pixels) -> None:
        """Paint where nothing is yet."""
        free = np.clip(share - self.alpha, 0.0, 1.0)
        total = np.maximum(self.alpha + free, 1e-6)
        self.colour += (tint - self.colour) * (free / total)[..., None]
        self.alpha = self.alpha + free


def _draw_paws(pose: Pose, at: Pixels, left: Pixels, scale: float) -> Pixels:
    """Coverage of the toes that look out from under the body; the gait's phase is the animal's and the pose's own."""
    share = np.zeros_like(at)
    phase = float(pose.spine[0].sum()) % 1.0 - 0.5
    if pose.length_mm < 0.88 * pose.scale_mm:
        return share
    for place, out, size, sway in ((0.30, 0.98, 2.0, 5.0), (0.80, 1.05, 3.0, 7.0)):
        for side in (-1.0, 1.0):
            middle = place * pose.length_mm + side * phase * sway
            edge = float(np.interp(middle, pose.at_mm, pose.half_width_mm)) * out
            dx, dy = (at - middle) / (size * scale * 1.5), (left - side * edge) / (size * scale * 0.8)
            share = np.maximum(share, smoothstep(-0.25, 0.25, 1.0 - np.sqrt(dx * dx + dy * dy)))
    return share


def _draw_face(painter: _Painter, sketch: Sketch, pose: Pose, scale: float) -> None:
    """Ears, eyes and nose."""
    palette, appearance = sketch.palette, sketch.appearance
    foreshortened = pose.length_mm / pose.scale_mm
    ear_at = EAR_AT * pose.length_mm
    ear_out = EAR_OUT * pose.scale_mm
    for side in (-1.0, 1.0):
        turn = side * 0.55
        place = (ear_at + 0.8 * scale, side * (ear_out + 1.2 * scale))
        shadow = painter.spot(place[0] + 1.2 * scale, place[1], (6.4 * scale, 5.6 * scale), turn, soft=1.6)
        painter.colour *= (1.0 - 0.35 * shadow)[..., None]
        rim = painter.spot(*place, (6.2 * scale, 5.3 * scale), turn)
        painter.over(rim, palette.ear * np.float32(1.25))
        bowl = painter.spot(place[0] + 0.5 * scale, place[1] - side * 0.2, (5.0 * scale, 4.0 * scale), turn, soft=1.0)
        painter.over(bowl * rim * 0.9, palette.ear * np.float32(0.78))
        hollow = painter.spot(
            place[0] - 1.5 * scale, place[1] - side * 1.6 * scale, (2.6 * scale, 1.9 * scale), turn, soft=1.2
        )
        painter.over(hollow * rim * 0.6, palette.ear * np.float32(0.35))
        eye = (0.112 * pose.length_mm, side * 0.069 * pose.scale_mm)
        size = (1.75 * scale * max(foreshortened, 0.7), 1.45 * scale)
        painter.over(painter.spot(*eye, (size[0] * 1.3, size[1] * 1.3), soft=0.5) * 0.5, palette.eye * np.float32(1.5))
        painter.over(
            painter.spot(*eye, size),
            palette.eye * (1.0 - appearance.cataract) + palette.clouded_eye * appearance.cataract,
        )
        glint = painter.spot(eye[0] - 0.4, eye[1] - 0.3 * side, (0.45 * scale, 0.4 * scale))
        painter.over(glint * np.float32(0.6), np.full_like(palette.eye, 0.7))
    muzzle = painter.spot(0.045 * pose.length_mm, 0.0, (3.6 * scale, 2.6 * scale), soft=1.5)
    painter.over(muzzle * painter.alpha * 0.25, palette.skin * np.float32(0.6))
    painter.over(painter.spot(0.6 * scale, 0.0, (1.1 * scale, 1.3 * scale)) * 0.9, palette.skin * np.float32(0.85))


def _draw_whiskers(patch: Patch, pose: Pose, view: View, scale: float) -> None:
    """Draw a fan of whiskers on both sides of the muzzle under the patch's body, hair-thin and half transparent."""
    height, width = patch.alpha.shape
    picture = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(picture)
    corner = np.array((patch.x0, patch.y0), np.float32)
    for side in (-1.0, 1.0):
        for angle in (0.15, 0.55, 0.95, 1.35, 1.75):
            start = pose.point(0.05 * pose.length_mm, side * 2.6 * scale)
            across, back = np.cos(angle - 0.7), np.sin(angle - 0.7)
            end = pose.point(0.05 * pose.length_mm + 15 * scale * back, side * (2.6 + 15 * across) * scale)
            draw.line((view.to_px(np.array([start, end], np.float32)) - corner).ravel().tolist(), fill=255, width=1)
    box = picture.getbbox()
    if box is None:
        return
    rows, columns = slice(box[1], box[3]), slice(box[0], box[2])
    share = np.asarray(picture.crop(box), np.float32) * np.float32(min(0.30, 0.075 * view.px_per_mm) / 255.0)
    share *= 1.0 - patch.alpha[rows, columns]
    patch.colour[rows, columns] += share[..., None] * np.float32(0.45)
    patch.alpha[rows, columns] += share


def _draw_tail(sketch: Sketch, pose: Pose, view: View) -> Patch | None:
    """The tail: tapered, ringed with scales, thinner and paler in old animals."""
    appearance = sketch.appearance
    window = _window(pose.tail, 3.0, view)
    if window is None:
        return None
    path = pose.tail
    near = _pixels_near(path, np.full(len(path), appearance.tail_thickness_mm + 0.5, np.float32), window, view)
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
