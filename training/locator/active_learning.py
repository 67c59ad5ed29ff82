"""Active learning: the frames of videos or folders that are most worth labelling next, as a DeepLabCut project.

Uncertain: by what the locator finds in it (training.locator.uncertainty). Diverse: greedily the frame with the largest
product of uncertainty and distance, on thumbnails, to what is chosen already (the core-set idea of Sener and Savarese,
ICLR 2018, weighed by uncertainty). Blurred frames and near-copies are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.camera.pictures import open_pictures
from edge.contract.manifest import SMALL_WIDTH
from edge.errors import CameraError, OperatorError, UnreadablePicture
from edge.footage.faults import Faults
from edge.footage.find import can_show_an_animal
from edge.host.progress import progress
from edge.vision.frame import Image
from edge.vision.image import resize
from edge.vision.model.loaded import LoadedModel
from edge.vision.preprocess import small_view
from training.locator.uncertainty import Uncertainty, uncertainty_of

NEAR_COPY = 0.012
"""Mean difference of two thumbnails, grey levels 0-1, under which they are the same scene."""
BLURRED = 0.35
"""Sharpness, as a fraction of the source's median, under which a frame is left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One picture of a source: its number (of the frame, in the folder), thumbnail, sharpness and uncertainty."""

    source: Path
    number: int
    name: str
    thumbnail: NDArray[np.float32]
    sharpness: float
    uncertainty: Uncertainty


def candidates(
    source: Path, model: LoadedModel, px_per_mm: float | None, look_at: int, faults: Faults | None = None
) -> list[Candidate]:
    """Return up to `look_at` evenly spaced pictures of a video or folder, judged. faults: as of `pictures`.

    Raises:
        OperatorError: there is no such source, or it holds no pictures that can be read.
    """
    found = []
    for number, name, main in progress(pictures(source, look_at, faults=faults), look_at, source.name):
        found.append(
            Candidate(source, number, name, _thumbnail(main), sharpness(main), uncertainty_of(main, model, px_per_mm))
        )
    if not found:
        raise OperatorError(f"{source}: expected pictures, found none")
    return found


def pictures(
    source: Path, look_at: int, only: frozenset[int] | None = None, faults: Faults | None = None
) -> Iterator[tuple[int, str, Image]]:
    """Yield (number, file name, picture uint8 (h, w, 3)), evenly spaced, or those whose numbers are in `only`.

    faults: takes those that cannot be read or are too small to show an animal; without it the first one is the end.

    Raises:
        OperatorError: there is no such source, or it holds no pictures.
    """
    try:
        row = open_pictures(source, 30.0)
    except CameraError as error:
        raise OperatorError(str(error)) from error
    count = row.count_frames()
    step, digits = max(1, -(-count // look_at)), max(4, len(str(count)))
    for one in row:
        if one.number in only if only is not None else one.number % step == 0:
            name = one.name if source.is_dir() else f"img{one.number:0{digits}}.png"
            try:
                picture = one.read()
                if not can_show_an_animal(picture):
                    raise UnreadablePicture(f"{one.name}: too small or too narrow to show an animal")
            except UnreadablePicture as error:
                if faults is None:
                    raise
                faults.add(one.name, str(error))
            else:
                yield one.number, name, picture
    if row.shortfall and faults is not None and only is None:
        faults.add(source.name, f"{source}: {row.shortfall}")


def choose(found: Sequence[Candidate], count: int) -> list[Candidate]:
    """Return up to `count` candidates, the most wanted first; fewer where the rest are blurred or near-copies."""
    sharp = _sharp_ones(found)
    thumbnails = np.stack([one.thumbnail.ravel() for one in sharp])
    uncertainties = np.array([one.uncertainty.total for one in sharp]) + 0.02
    apart = np.full(len(sharp), np.inf)
    chosen: list[Candidate] = []
    while len(chosen) < count:
        worth = np.where(apart > NEAR_COPY, uncertainties * np.minimum(apart, 1.0), -1.0)
        best = int(worth.argmax())
        if worth[best] < 0:
            break
        chosen.append(sharp[best])
        apart = np.minimum(apart, np.abs(thumbnails - thumbnails[best]).mean(axis=1))
    return chosen


def sharpness(main: Image) -> float:
    """Return the variance of the Laplacian of the small grey view (Pech-Pacheco et al., ICPR 2000), grey levels."""
    grey = small_view(main, SMALL_WIDTH).astype(np.float32)
    if min(grey.shape) < 3:
        return 0.0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())


def _sharp_ones(found: Sequence[Candidate]) -> list[Candidate]:
    """Return those that are not blurred, each source judged by its own median."""
    usual = {
        source: float(np.median([one.sharpness for one in found if one.source == source]))
        for source in {one.source for one in found}
    }
    return [one for one in found if one.sharpness >= BLURRED * usual[one.source]]


def _thumbnail(main: Image) -> NDArray[np.float32]:
    return np.asarray(resize(small_view(main, SMALL_WIDTH), 32, 24), np.float32) / np.float32(255)
