"""Folds over labelled frames: each frame is predicted by int8 networks that have not seen it.

A fold's result is one file, written whole, so that an interrupted report goes on with the folds that are missing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import Centres, Parts
from edge.errors import OperatorError
from edge.vision.locate import decode_centres, parts_around
from edge.vision.model.runtime import open_network
from training.deeplabcut.frames import LocatorData, read_main
from training.deeplabcut.read import Project
from training.locator.fit import Kept, fit_centres, fit_parts, found_parts
from training.networks.checkpoint import fingerprint
from training.networks.training_loop import Recipe
from training.run import Run
from training.whole_file import replacing


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What a report trains: folds, steps of each stage, and how the frames are dealt out."""

    folds: int
    steps: int
    centre_steps: int
    split: str
    """`shuffled`, or `blocks`: neighbours in the video stay together, so that no near-copy of a frame is trained on."""
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Predictions for m animals, float64 (m, parts, 3): x, y in picture pixels and raw likelihood (softmax mass).

    parts: on crops around the labelled middle. both: both stages as on the device; NaN where no centre was found.
    """

    parts: NDArray[np.float64]
    both: NDArray[np.float64]


def fold_of(project: Project, validation: CrossValidation) -> NDArray[np.int64]:
    """Return each frame's fold, int64 (frames,).

    Raises:
        OperatorError: there are fewer frames than two a fold.
    """
    count = len(project.frames)
    if count < 2 * validation.folds:
        raise OperatorError(
            f"expected at least {2 * validation.folds} labelled frames for {validation.folds} folds, got {count}"
        )
    if validation.split == "blocks":
        order = sorted(range(count), key=lambda index: str(project.frames[index].image))
        folds = np.empty(count, np.int64)
        folds[order] = np.arange(count) * validation.folds // count
        return folds
    folds = np.arange(count) % validation.folds
    return np.random.default_rng([validation.seed, 5]).permutation(folds)


def predict_fold(
    project: Project,
    data: LocatorData,
    specs: tuple[Centres, Parts],
    validation: CrossValidation,
    fold: int,
    folder: Path,
) -> Found:
    """Return the predictions for one fold's animals, in the data's order; `folder` keeps them and the networks."""
    held = fold_of(project, validation) == fold
    return predict_held(project, data, specs, validation, ~held, held, folder)


def predict_held(
    project: Project,
    data: LocatorData,
    specs: tuple[Centres, Parts],
    validation: CrossValidation,
    train: NDArray[np.bool_],
    held: NDArray[np.bool_],
    folder: Path,
) -> Found:
    """Return the predictions for the frames `held` of networks trained on the frames `train`, bool (frames,) both."""
    path = folder / "predictions.npz"
    mark = fingerprint(validation, train, held, data.wide, data.wide_keypoints)
    if path.exists():
        with np.load(path) as kept:
            if str(kept["mark"]) == mark:
                return Found(kept["parts"], kept["both"])
    seen = train[data.frame]
    kept_at = Kept(folder)
    recipes = Recipe(validation.centre_steps, 16), Recipe(validation.steps, 16)
    first = fit_centres(data.views[train], data.centres[train], specs[0], recipes[0], validation.seed, kept_at)
    second = fit_parts(data.wide[seen], data.wide_keypoints[seen], specs[1], recipes[1], validation.seed, kept_at)
    for stage in (first, second):
        Run(folder).save_stage(stage.content, stage.spec)
    chosen = held[data.frame]
    found = found_parts(second.content, second.spec, data.crops[chosen])
    found[..., :2] = _to_main(found[..., :2], data.to_main[chosen])
    both = _both_stages(project, first.content, first.spec, second.content, second.spec, data, np.flatnonzero(held))
    with replacing(path) as half:
        np.savez(half, mark=np.array(mark), parts=found, both=both)
    return Found(found, both)


def _to_main(points: NDArray[np.float64], to_main: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points (m, parts, 2) of crops in their pictures' pixels."""
    return np.asarray(np.einsum("mij,mpj->mpi", to_main[:, :, :2], points) + to_main[:, None, :, 2])


def _both_stages(
    project: Project,
    centres: bytes,
    centres_spec: Centres,
    parts: bytes,
    spec: Parts,
    data: LocatorData,
    frames: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return (animals, parts, 3) of these frames as the device finds them, to each labelled animal the nearest one."""
    first, second = open_network(centres), open_network(parts)
    rows = []
    for number in frames:
        main = read_main(project.frames[number])
        height, width = main.shape[:2]
        scale = data.to_main[data.frame == number][0, 0, 0]
        peaks = decode_centres(first.run(data.views[number]), centres_spec, 8)
        middles = [(x * width / centres_spec.width, y * height / centres_spec.height) for (x, y), _ in peaks]
        found = []
        for middle in middles:
            points, _ = parts_around(main, middle, scale * spec.px_per_mm, second.run, spec)
            found.append([(point.x, point.y, point.likelihood) for point in points])
        for animal in project.frames[number].animals:
            middle = np.nanmean(animal, axis=0)
            distances = [math.dist(middle, other) for other in middles]
            near = int(np.argmin(distances)) if distances else -1
            missed = near < 0 or distances[near] > spec.size / 2 * scale
            rows.append(np.full((len(spec.keypoints), 3), np.nan) if missed else np.array(found[near]))
    return np.stack(rows)
