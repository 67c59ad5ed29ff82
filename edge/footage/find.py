"""Body parts of the animals in stored pictures, with each animal's column kept from frame to frame of a video."""

from __future__ import annotations

from collections.abc import Callable

from edge.contract.reading import CameraState, Keypoint
from edge.footage.tracks import Tracks
from edge.vision.frame import Frame, Image
from edge.vision.locate import Located, find_animals
from edge.vision.model.loaded import LoadedModel
from edge.vision.observe import without_phantoms

Found = list[tuple[Keypoint, ...]]
"""One entry a column: the body parts of its animal, none where it was not found."""

MEMORY_S = 3.0
"""How long an animal that is lost in a video keeps its last place."""
_RUN_HALF_CROPS_PER_S = 10.0
"""No mouse runs faster: a half crop is about a body length, of 80-100 mm, and a sprint is below 1 m/s."""
_LEAST_SIDE, _NARROWEST = 16, 40
"""Pixels, and one side by the other: smaller or narrower pictures show no animal, and have no small view."""


def can_show_an_animal(picture: Image) -> bool:
    """Return whether a picture, uint8 (height, width, ...), is large and wide enough for an animal to be seen in it."""
    short, long = sorted(picture.shape[:2])
    return bool(short >= _LEAST_SIDE and long <= _NARROWEST * short)


def locate_animals(picture: Image, model: LoadedModel, most: int, px_per_mm: float | None = None) -> list[Located]:
    """Return up to `most` animals of a picture, uint8 (height, width, 3) RGB, in its own pixels, the likeliest first.

    As on the device, one animal more is looked for, so that what only resembles one does not take a mouse's place.
    px_per_mm: None cuts the animals at the picture's native pixels.
    """
    if not can_show_an_animal(picture):
        return []
    height, width = picture.shape[:2]
    state = CameraState(backend="file", model="file", width=width, height=height)
    frame = Frame(picture, 0.0, 0.0, state, px_per_mm)
    located = find_animals(frame, model, most + 1)
    return without_phantoms(located, most, model.manifest.parts.min_likelihood)[:most]


def by_likelihood(model: LoadedModel, animals: int, px_per_mm: float | None = None) -> Callable[[Image], Found]:
    """Return what finds the animals of pictures that have nothing to do with each other: the likeliest comes first."""

    def find(picture: Image) -> Found:
        found = [animal.keypoints for animal in locate_animals(picture, model, animals, px_per_mm)]
        return found + [()] * (animals - len(found))

    return find


def by_place(
    model: LoadedModel, animals: int, frames_per_s: float, px_per_mm: float | None = None
) -> Callable[[Image], Found]:
    """Return what finds the animals of a video's frames, shown in order: each keeps its column (`edge.footage.tracks`).

    frames_per_s: of the frames that are shown.
    """
    parts = model.manifest.parts
    half_crop_px = parts.size / 2 * (1.0 if px_per_mm is None else px_per_mm / parts.px_per_mm)
    tracks = Tracks(
        animals,
        reach_px=half_crop_px * max(1.0, _RUN_HALF_CROPS_PER_S / frames_per_s),
        memory=max(1, round(MEMORY_S * frames_per_s)),
    )

    def find(picture: Image) -> Found:
        located = locate_animals(picture, model, animals, px_per_mm)
        found: Found = [()] * animals
        for animal, column in zip(located, tracks.columns_of([one.centre for one in located]), strict=True):
            found[column] = animal.keypoints
        return found

    return find
