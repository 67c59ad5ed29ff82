"""Head and paws of a mouse: ears, eyes, nose, whiskers, toes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from edge.simulate.noise import smoothstep
from edge.simulate.patch import Patch
from edge.simulate.posture import EAR_AT, EAR_OUT, Pose
from edge.simulate.sketch import Sketch
from edge.simulate.view import View

Pixels = NDArray[np.float32]


class Painter:
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


def draw_paws(pose: Pose, at: Pixels, left: Pixels, scale: float) -> Pixels:
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


def draw_face(painter: Painter, sketch: Sketch, pose: Pose, scale: float) -> None:
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


def draw_whiskers(patch: Patch, pose: Pose, view: View, scale: float) -> None:
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
