"""Who is turned away: foreign scenes and good ones through the device's whole path, and by the domain score alone."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.config.tree import Quality
from edge.contract.reading import CameraState, Reason
from edge.host.progress import progress
from edge.vision.frame import Frame
from edge.vision.model.loaded import LoadedModel, load_model
from edge.vision.observe import ObserveSettings, observe
from edge.vision.preprocess import age_input
from training.bundle.trusted import open_trusted
from training.simulated.foreign import Scene, open_field_scenes, scenes_of_cage
from training.workers import pool

_SHARD = 6


@dataclass(frozen=True, eq=False)
class Judged:
    """Scenes as the device saw them; n scenes.

    crops uint8 (n, 160, 384, 1), cut where the scene itself says that the animal or object lies; kind str (n,);
    white bool (n,). other: bool (n,), the whole path gave no age for another reason than the domain (no mouse found,
    partial, curled, ...); path_crops uint8 (n, 160, 384, 1): what the device's own locator cut, empty where `other`.
    """

    crops: NDArray[np.uint8]
    path_crops: NDArray[np.uint8]
    kind: NDArray[np.str_]
    white: NDArray[np.bool_]
    other: NDArray[np.bool_]

    @classmethod
    def load(cls, *paths: Path) -> Judged:
        """Read shards as one."""
        parts = []
        for path in paths:
            with np.load(path, allow_pickle=False) as arrays:
                parts.append({field.name: arrays[field.name] for field in fields(cls)})
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def judge_scenes(
    folder: Path,
    bundle: Path,
    key: Path,
    *,
    cages: int,
    seed: int = 1,
    open_field: Path | None = None,
    workers: int = 2,
) -> Judged:
    """Return four foreign scenes and a good one a cage, and the open field's, kept in `folder` in shards.

    What the whole path makes of a scene holds for one bundle: the shards' names begin with its digest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs: list[tuple[Path, Path, Path, int, int, int, Path | None]] = [
        (folder, bundle, key, seed, first, min(cages, first + _SHARD), None) for first in range(0, cages, _SHARD)
    ]
    if open_field is not None:
        jobs.append((folder, bundle, key, seed, 0, 0, open_field))
    with pool(workers) as processes:
        return Judged.load(*progress(processes.map(_judge_shard, jobs), len(jobs), "domain"))


def _judge_shard(job: tuple[Path, Path, Path, int, int, int, Path | None]) -> Path:
    folder, bundle, key, seed, first, end, open_field = job
    name = "open-field" if open_field is not None else f"seed{seed}-{first:05d}-{end:05d}"
    trusted = open_trusted(bundle, key)
    path = folder / f"{trusted.sha256[:12]}-{name}.npz"
    if path.exists():
        return path
    model = load_model(trusted)
    scenes = [] if open_field is None else open_field_scenes(open_field)
    scenes += [scene for number in range(first, end) for scene in scenes_of_cage(number, seed)]
    seen = [_observed(scene, model) for scene in scenes]
    age = model.manifest.age
    crops = [age_input(one.image, one.snout, one.tail_base, one.px_per_mm, age).pixels for one in scenes]
    half = path.with_name(f"{path.name}.part")
    with half.open("wb") as file:
        np.savez_compressed(
            file,
            crops=np.array(crops),
            path_crops=np.array([np.zeros_like(crops[0]) if found is None else found for found in seen]),
            kind=np.array([scene.kind for scene in scenes]),
            white=np.array([scene.white for scene in scenes]),
            other=np.array([found is None for found in seen]),
        )
    half.replace(path)
    return path


def _observed(scene: Scene, model: LoadedModel) -> NDArray[np.uint8] | None:
    """Return the crop that the whole device path would give an age for, were the domain not asked; else None.

    The scale of the open field is below what the bundle allows; that is not counted, so that its pictures are judged.
    """
    state = CameraState(backend="files", model="", width=scene.image.shape[1], height=scene.image.shape[0])
    frame = Frame(scene.image, 0.0, 0.0, state, scene.px_per_mm)
    seen = observe([frame], model, ObserveSettings(Quality(), 1, None, None))
    apart = {Reason.OUT_OF_DOMAIN, Reason.SCALE_TOO_COARSE}
    judged = [animal for animal in seen.animals if animal.estimate is not None]
    for animal, crops in zip(judged, seen.crops, strict=True):
        if not set(animal.reject_reasons) - apart:
            return crops[0]
    return None
