"""Simulated photographs, cut as the device cuts them: views, body-part crops and age crops with their truth.

A cage is one draw of everything: animals, setup, bedding, light. Each cage sees its animals at all ages, so that
neither the setup nor the date tells the age. Splits are by cage, which is coarser than by animal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.host.progress import progress
from edge.simulate import Activity, CageSetup, Placement, SceneFaults, SimulatedCage, SimulatedFrame
from edge.simulate.activity import Posture
from edge.simulate.truth import AnimalTruth, Light
from edge.vision.preprocess import centres_input, parts_input, small_view
from training.networks.shapes import KEYPOINTS, centres_spec, parts_spec
from training.run import CROP_TABLE, DATA, Run
from training.simulated.dataset import MAX_CENTRES, SIMULATED_CUT_BY, Dataset
from training.simulated.readable import readable_crop
from training.simulated.table import animals_of, crops_of
from training.workers import pool

_OUT: tuple[Posture, ...] = ("stretched", "walking", "stretched", "walking", "grooming", "rearing")


@dataclass(frozen=True, slots=True)
class Visits:
    """How a cage is photographed: at `frames` random ages on `days` days in a row, each day `repeats` times.

    The repeats of a day are five minutes apart, the animals having moved: what test-retest figures and the calibration
    of days and weeks need.
    """

    frames: int = 6
    days: int = 1
    repeats: int = 1


def simulate(
    run: Run, *, cages: int, frames: int, seed: int, workers: int = 2, days: int = 1, repeats: int = 1
) -> Dataset:
    """Return simulated photographs as cuts, kept as RUN/data.npz, and their age crops as crops.npz and crops.csv.

    Existing files are used again; an older data.npz gets its crops' table without being rendered again.
    """
    path = run.path(DATA)
    if path.exists():
        data = Dataset.load(path)
    else:
        data = _render(cages, Visits(frames, days, repeats), seed, workers)
        data.save(path)
        run.path(CROP_TABLE).unlink(missing_ok=True)
    if not run.has(CROP_TABLE):
        crops_of(data, seed).save(run, SIMULATED_CUT_BY)
    return data


def _render(cages: int, visits: Visits, seed: int, workers: int) -> Dataset:
    jobs = [(seed, number, visits) for number in range(cages)]
    with pool(workers) as processes:
        found = list(progress(processes.map(_render_cage, jobs, chunksize=2), cages, "simulate"))
    return Dataset.join(found)


def _render_cage(job: tuple[int, int, Visits]) -> Dataset:
    """Return one cage's cuts."""
    seed, number, visits = job
    rng = np.random.default_rng([seed, number])
    count = int(rng.choice((1, 2, 3), p=(0.2, 0.3, 0.5)))
    animals = animals_of(seed, number, count)
    setup = CageSetup.from_seed(seed * 7919 + number)
    cage = SimulatedCage(f"train-{seed}-{number}", animals, setup)
    rows: dict[str, list[object]] = {field.name: [] for field in fields(Dataset)}
    for at in _times(visits, rng):
        frame = _photograph(cage, count, at, rng)
        _take_view(frame, number, rows)
        for index, animal in enumerate(frame.truth.animals):
            _take_animal(frame, animal, number, number * 10 + index, rng, rows)
    return _to_arrays(rows)


def _times(visits: Visits, rng: np.random.Generator) -> Iterator[datetime]:
    """Yield when to photograph; drawn one by one, so that a single reading a visit keeps its numbers of old."""
    for _ in range(visits.frames):
        first = datetime(2020, 1, 15, tzinfo=UTC) + timedelta(days=float(rng.uniform(45, 920)))
        for day in range(visits.days):
            for repeat in range(visits.repeats):
                yield first + timedelta(days=day, minutes=5 * repeat)


def _photograph(cage: SimulatedCage, count: int, at: datetime, rng: np.random.Generator) -> SimulatedFrame:
    light: Light = "white" if rng.random() < 0.5 else "infrared"
    faults = SceneFaults(
        empty=bool(rng.random() < 0.04),
        exposure_factor=float(np.exp(rng.normal(0, 0.12))),
        condensation=float(rng.uniform(0, 0.15)) if rng.random() < 0.1 else 0.0,
        dirt=float(rng.uniform(0, 0.3)) if rng.random() < 0.15 else 0.0,
    )
    activity = None
    if rng.random() < 0.85:
        activity = Activity(tuple(Placement(_OUT[int(rng.integers(len(_OUT)))]) for _ in range(count)))
    zeitgeber_h = 6.0 if light == "white" else 15.0
    return cage.photograph(
        at=at, light=light, zeitgeber_h=zeitgeber_h, seed=int(rng.integers(1 << 30)), faults=faults, activity=activity
    )


def _take_view(frame: SimulatedFrame, cage: int, rows: dict[str, list[object]]) -> None:
    spec = centres_spec()
    rows["views"].append(centres_input(small_view(frame.image, spec.small_width), spec))
    centres = np.full((MAX_CENTRES, 2), np.nan, np.float32)
    for index, animal in enumerate(animal for animal in frame.truth.animals if _worth_locating(animal)):
        x, y = _centre(animal)
        centres[index] = x * spec.width / frame.image.shape[1], y * spec.height / frame.image.shape[0]
    rows["centres"].append(centres)
    rows["view_cage"].append(cage)


def _take_animal(
    frame: SimulatedFrame,
    animal: AnimalTruth,
    cage: int,
    number: int,
    rng: np.random.Generator,
    rows: dict[str, list[object]],
) -> None:
    if not _worth_locating(animal):
        return
    scale = frame.truth.px_per_mm
    x, y = _centre(animal) + rng.normal(0, 5 * scale, 2)
    crop = parts_input(frame.image, (x, y), scale, parts_spec())
    points = np.zeros((len(KEYPOINTS), 3), np.float32)
    for index, name in enumerate(KEYPOINTS):
        px, py, visible = animal.keypoints[name]
        u, v = crop.point_in_crop(px, py)
        points[index] = u, v, visible and 0 <= u < 192 and 0 <= v < 192
    rows["parts"].append(crop.pixels)
    rows["keypoints"].append(points)
    rows["part_cage"].append(cage)
    if not 50 <= animal.age_days <= 930:
        return
    age_crop = readable_crop(frame.image, frame.truth, animal, rng)
    if age_crop is None:
        return
    rows["crops"].append(age_crop)
    rows["age_days"].append(animal.age_days)
    rows["animal"].append(number)
    rows["cage"].append(cage)
    rows["white"].append(frame.truth.light == "white")


def _worth_locating(animal: AnimalTruth) -> bool:
    return animal.box is not None and animal.visible_fraction > 0.35


def _centre(animal: AnimalTruth) -> NDArray[np.float64]:
    assert animal.box is not None
    x0, y0, x1, y1 = animal.box
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])


_EMPTY = {
    "centres": (0, MAX_CENTRES, 2),
    "parts": (0, 192, 192, 1),
    "keypoints": (0, len(KEYPOINTS), 3),
    "crops": (0, 160, 384, 1),
}
_DTYPES = {
    "views": np.uint8,
    "parts": np.uint8,
    "crops": np.uint8,
    "centres": np.float32,
    "keypoints": np.float32,
    "age_days": np.float32,
    "white": np.bool_,
}


def _to_arrays(rows: dict[str, list[object]]) -> Dataset:
    arrays: dict[str, NDArray[Any]] = {}
    for name, values in rows.items():
        dtype = _DTYPES.get(name, np.int32)
        arrays[name] = np.array(values, dtype) if values else np.zeros(_EMPTY.get(name, (0,)), dtype)
    return Dataset(**arrays)
