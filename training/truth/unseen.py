"""A test set that shares nothing with any training run: other animals, litters, cameras, bedding, light and noise.

Seeds come from ranges that no `simulate` reaches. Every second cage also has its camera nearer than any in training
(4.5 or 5 px/mm instead of 4), a range that the model must bear because crops are cut at a calibrated scale.
Each animal is seen on two days, in four photographs a day, two in each light.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.host.progress import progress
from edge.simulate import Activity, CageSetup, Placement, SceneFaults, SimulatedCage, create_population
from edge.simulate.activity import Posture
from edge.simulate.truth import Light
from training.simulated.readable import readable_crop
from training.simulated.table import STRAIN
from training.whole_file import replacing
from training.workers import pool

FIRST_POPULATION, FIRST_SETUP = 1_000_000_000, 2_000_000_000
"""`simulate` counts its populations from seed * 100,003 and its setups from seed * 7,919."""
OUTSIDE_PX_PER_MM = (4.5, 5.0)
DAYS, PHOTOGRAPHS = 2, 4
_SHARD = 10
_OUT: tuple[Posture, ...] = ("stretched", "walking", "stretched", "walking", "grooming", "rearing")


@dataclass(frozen=True, eq=False)
class Readings:
    """Crops that the device would read, with the truth behind each; n rows.

    crops uint8 (n, 160, 384, 1); appearance float64 (n, 15), the columns of `Appearance.FIELDS`; age_days float64 (n,);
    animal, cage, day int64 (n,), day being unique to an animal at one age; white bool (n,): white light, else infrared;
    px_per_mm float64 (n,), of the photograph before it is cut at 4 px/mm.
    """

    crops: NDArray[np.uint8]
    appearance: NDArray[np.float64]
    age_days: NDArray[np.float64]
    animal: NDArray[np.int64]
    cage: NDArray[np.int64]
    day: NDArray[np.int64]
    white: NDArray[np.bool_]
    px_per_mm: NDArray[np.float64]

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Rows whose camera is nearer than any in training."""
        return self.px_per_mm > 4.25

    def save(self, path: Path) -> None:
        """Write one .npz, whole or not at all."""
        with replacing(path) as half:
            np.savez_compressed(half, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, *paths: Path) -> Readings:
        """Read what `save` wrote, several files as one."""
        parts = []
        for path in paths:
            with np.load(path, allow_pickle=False) as arrays:
                parts.append({field.name: arrays[field.name] for field in fields(cls)})
        return cls(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def render_unseen(folder: Path, *, cages: int, seed: int = 1, workers: int = 2) -> Readings:
    """Return the readings of so many cages of one to three animals, kept in `folder` in shards that are used again."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, cages, _SHARD)
    jobs = [(folder, seed, start, min(cages, start + _SHARD)) for start in starts]
    with pool(workers) as processes:
        return Readings.load(*progress(processes.map(_render_shard, jobs), len(jobs), "unseen"))


def _render_shard(job: tuple[Path, int, int, int]) -> Path:
    folder, seed, first, end = job
    path = folder / f"seed{seed}-{first:05d}-{end:05d}.npz"
    if not path.exists():
        rows: dict[str, list[object]] = {field.name: [] for field in fields(Readings)}
        for number in range(first, end):
            _render_cage(seed, number, rows)
        _as_readings(rows).save(path)
    return path


def _render_cage(seed: int, number: int, rows: dict[str, list[object]]) -> None:
    rng = np.random.default_rng([0x5EE, seed, number])
    count = int(rng.choice((1, 2, 3), p=(0.1, 0.2, 0.7)))
    born = date(2020, 1, 15)
    key = seed * 100_000 + number
    animals = create_population(FIRST_POPULATION + key, count, born_from=born, born_until=born, strains=(STRAIN,))
    scale = OUTSIDE_PX_PER_MM[number // 2 % 2] if number % 2 else 4.0
    cage = SimulatedCage(f"unseen-{key}", animals, CageSetup.from_seed(FIRST_SETUP + key, px_per_mm=scale))
    for day in range(DAYS):
        at = datetime(2020, 1, 15, tzinfo=UTC) + timedelta(days=float(rng.uniform(50, 929)))
        for photograph in range(PHOTOGRAPHS):
            light: Light = "white" if photograph % 2 else "infrared"
            frame = cage.photograph(
                at=at,
                light=light,
                zeitgeber_h=6.0 if light == "white" else 15.0,
                seed=int(rng.integers(1 << 30)),
                faults=SceneFaults(exposure_factor=float(np.exp(rng.normal(0, 0.12)))),
                activity=Activity(tuple(Placement(_OUT[int(rng.integers(len(_OUT)))]) for _ in range(count))),
            )
            for index, animal in enumerate(frame.truth.animals):
                crop = readable_crop(frame.image, frame.truth, animal, rng)
                if crop is None:
                    continue
                values = {
                    "crops": crop,
                    "appearance": animal.appearance.vector(),
                    "age_days": animal.age_days,
                    "animal": key * 10 + index,
                    "cage": key,
                    "day": (key * 10 + index) * 10 + day,
                    "white": light == "white",
                    "px_per_mm": scale,
                }
                for name, value in values.items():
                    rows[name].append(value)


def _as_readings(rows: dict[str, list[object]]) -> Readings:
    types = {"crops": np.uint8, "white": np.bool_, "animal": np.int64, "cage": np.int64, "day": np.int64}
    return Readings(**{name: np.array(values, types.get(name, np.float64)) for name, values in rows.items()})
