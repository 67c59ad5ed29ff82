"""Where the animals are: centres on the small view, then body parts on each animal's crop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Centres, Parts
from edge.contract.reading import Keypoint
from edge.vision.frame import Frame
from edge.vision.model.loaded import LoadedModel
from edge.vision.pixels import Image
from edge.vision.preprocess import Crop, Point, Seen, centres_input, parts_input, small_view

Logits = NDArray[np.float32]

SAME_BODY_MM = 14.0
"""Two mice cannot lie with their middles nearer than half a body width (about 30 mm) unless one is on the other."""
SURE = 0.9
"""An animal all of whose parts are likelier than this is not looked at again: a second look changes next to nothing."""
_ALIASES = {"nose": "snout", "tailbase": "tail_base", "leftear": "left_ear", "rightear": "right_ear"}


@dataclass(frozen=True, slots=True)
class Located:
    """One animal: centre in main-stream pixels with its likelihood, body parts by name, the crop's fraction in view."""

    centre: Point
    likelihood: float
    keypoints: tuple[Keypoint, ...]
    inside: float

    @property
    def middle(self) -> Point:
        """The middle of snout and tail base; of all parts where the bundle has other ones."""
        ends = [point for point in (self.part("snout"), self.part("tail_base")) if point is not None]
        return _middle(ends if len(ends) == 2 else self.keypoints)

    def part(self, name: str) -> Keypoint | None:
        """Return the body part of that standard name, whatever alias the bundle uses for it."""
        return next((point for point in self.keypoints if standard_name(point.part) == name), None)


def standard_name(part: str) -> str:
    """Return `snout`, `left_ear`, `right_ear`, `tail_base` for their usual aliases, any other name unchanged."""
    return _ALIASES.get(part.lower().replace("_", "").replace(" ", ""), part)


def find_animals(frame: Frame, model: LoadedModel, most: int) -> list[Located]:
    """Return up to `most` animals, the likeliest first.

    The small view is of the width that the locator was trained at, whatever the device's own: it must not be given
    pixels that it never learnt, and the setting is free for the quality gate.
    """
    spec = model.manifest.centres
    views = frame.views(model.manifest.preprocess_version)
    found = decode_centres(model.centres.run(centres_input(small_view(views, spec.small_width), spec)), spec, most)
    height, width = frame.main.shape[:2]
    scale_x, scale_y = width / spec.width, height / spec.height
    located = [find_parts(frame, (x * scale_x, y * scale_y), likelihood, model) for (x, y), likelihood in found]
    return distinct(located, SAME_BODY_MM * (frame.px_per_mm or model.manifest.parts.px_per_mm))


def distinct(located: list[Located], same_px: float) -> list[Located]:
    """Return the animals, likeliest centre first; of bodies nearer than `same_px` the one whose parts are surest."""
    kept: list[Located] = []
    for animal in sorted(located, key=lambda one: -sum(point.likelihood for point in one.keypoints)):
        if all(math.dist(animal.middle, other.middle) >= same_px for other in kept):
            kept.append(animal)
    return sorted(kept, key=lambda one: -one.likelihood)


def find_parts(frame: Frame, centre: Point, likelihood: float, model: LoadedModel) -> Located:
    """Return the animal at `centre` (main-stream pixels) with its body parts."""
    spec, views = model.manifest.parts, frame.views(model.manifest.preprocess_version)
    keypoints, inside = parts_around(views, centre, frame.px_per_mm, model.parts.run, spec)
    return Located(centre, likelihood, keypoints, inside)


def parts_around(
    main: Seen, centre: Point, px_per_mm: float | None, run: Callable[[Image], Logits], spec: Parts
) -> tuple[tuple[Keypoint, ...], float]:
    """Return the body parts of the animal at `centre` in pixels of `main`, and the crop's fraction within the picture.

    A centre that lies beside the animal cuts parts off its crop. Where a part is uncertain, the crop is cut anew around
    the middle of the parts that were found, and the look in which they are surer counts.
    run: the second stage's network, from a crop to its logits.
    """
    first = _look(main, centre, px_per_mm, run, spec)
    if min(point.likelihood for point in first[0]) > SURE:
        return first
    again = _look(main, _middle(first[0]), px_per_mm, run, spec)
    return max(first, again, key=lambda look: sum(point.likelihood for point in look[0]))


def _look(
    main: Seen, centre: Point, px_per_mm: float | None, run: Callable[[Image], Logits], spec: Parts
) -> tuple[tuple[Keypoint, ...], float]:
    crop = parts_input(main, centre, px_per_mm, spec)
    return decode_parts(run(crop.pixels), spec, crop), crop.inside


def _middle(points: Sequence[Keypoint]) -> Point:
    return sum(point.x for point in points) / len(points), sum(point.y for point in points) / len(points)


def decode_centres(logits: Logits, spec: Centres, most: int) -> list[tuple[Point, float]]:
    """Return the peaks of a logit map (h, w, 1), likeliest first.

    Each is ((x, y) in pixels of the first stage's input, likelihood 0-1).
    """
    heat = logits[..., 0]
    floor = math.log(spec.threshold / (1 - spec.threshold)) if 0 < spec.threshold < 1 else -math.inf
    padded = np.pad(heat, 1, constant_values=-np.inf)
    around = np.maximum.reduce(
        [
            padded[1 + dy : padded.shape[0] - 1 + dy, 1 + dx : padded.shape[1] - 1 + dx]
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
        ]
    )
    rows, columns = np.nonzero((heat >= around) & (heat > floor))
    order = np.argsort(-heat[rows, columns], kind="stable")
    peaks: list[tuple[Point, float]] = []
    for index in order:
        row, column = int(rows[index]), int(columns[index])
        x, y = _refined(heat, row, column)
        point = ((x + 0.5) * spec.stride, (y + 0.5) * spec.stride)
        if all(math.dist(point, other) >= spec.min_distance_px for other, _ in peaks):
            peaks.append((point, _sigmoid(float(heat[row, column]))))
            if len(peaks) == most:
                break
    return peaks


def decode_parts(logits: Logits, spec: Parts, crop: Crop) -> tuple[Keypoint, ...]:
    """Return each part in main-stream pixels: soft-argmax over the whole map (h, w, parts) of logits.

    Likelihood: the softmax mass within two cells of the position, calibrated by the bundle.
    """
    height, width, _ = logits.shape
    weights = np.exp(logits - logits.max(axis=(0, 1)))
    columns, rows = weights.sum(axis=0), weights.sum(axis=1)  # (w, parts), (h, parts)
    whole = columns.sum(axis=0)
    u = (np.arange(width, dtype=np.float32) + 0.5) @ columns / whole
    v = (np.arange(height, dtype=np.float32) + 0.5) @ rows / whole
    points = []
    for index, name in enumerate(spec.keypoints):
        column, row = int(u[index]), int(v[index])
        near = weights[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3, index]
        mass = float(near.sum() / whole[index])
        mass = min(max(mass, 1e-4), 1 - 1e-4)
        likelihood = _sigmoid(spec.likelihood_a + spec.likelihood_b * math.log(mass / (1 - mass)))
        x, y = crop.point_in_main(float(u[index]) * spec.stride, float(v[index]) * spec.stride)
        points.append(Keypoint(part=name, x=round(x, 2), y=round(y, 2), likelihood=round(likelihood, 4)))
    return tuple(points)


def _refined(heat: Logits, row: int, column: int) -> Point:
    """Return the peak's position (x, y) in cells, between cells as well: a parabola through it and its neighbours.

    On the logits, along each axis: where sigmoids saturate, all cells around a peak look alike.
    """
    return column + _vertex(heat[row], column), row + _vertex(heat[:, column], row)


def _vertex(line: Logits, at: int) -> float:
    """Return where the parabola through three values has its vertex, relative to the middle one; 0 at the border."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, peak, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2 * peak + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0
