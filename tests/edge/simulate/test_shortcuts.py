"""A picture tells the age by the animal's coat and shape, not by its background or its brightness."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import numpy as np
import pytest

from edge.simulate import Activity, CageSetup, Light, Placement, SimulatedCage, create_population

ANIMALS = 360
SETUPS = 12
NEIGHBOURS = 25


@dataclass(frozen=True)
class Features:
    """What crude looks at a picture give: one row an animal."""

    ages: np.ndarray
    background: np.ndarray
    brightness: np.ndarray


@cache
def features(light: Light) -> Features:
    """Photographs of independent animals of uniform age, each in one of a few cages."""
    animals = create_population(11, ANIMALS, born_from=date(2025, 1, 1), born_until=date(2025, 12, 31))
    ages = np.random.default_rng(1).uniform(60, 900, ANIMALS)
    setups = [CageSetup.from_seed(seed, width_px=320, height_px=240, px_per_mm=4 / 3) for seed in range(SETUPS)]
    activity = Activity((Placement("stretched", position_mm=(120.0, 90.0), heading_rad=0.0, bend=0.1),))
    background, brightness = [], []
    for number, (animal, age) in enumerate(zip(animals, ages, strict=True)):
        cage = SimulatedCage("c", (animal,), setups[number * SETUPS // ANIMALS])
        at = datetime.combine(animal.date_of_birth, time(), UTC) + timedelta(days=float(age))
        frame = cage.photograph(at=at, light=light, zeitgeber_h=15.0, seed=number, activity=activity)
        x0, y0, x1, y1 = frame.truth.animals[0].box or (0, 0, 0, 0)
        body = frame.image[y0:y1, x0:x1].astype(float)
        height, width = body.shape[:2]
        # The middle of the box of a stretched, level animal shows the animal only.
        brightness.append([body[height // 3 : 2 * height // 3, width // 8 : 5 * width // 8].mean()])
        tiles = frame.image.astype(float).mean(-1).reshape(8, 30, 8, 40).mean(axis=(1, 3))
        background.append(np.concatenate([tiles[0], tiles[-1]]))  # far from animal, tail and shadow
    return Features(ages, np.array(background), np.array(brightness))


def ratio_to_a_constant_guess(table: np.ndarray, ages: np.ndarray) -> float:
    """Leave-one-out MAE of the nearest neighbours' median age, divided by that of always guessing the median."""
    scaled = (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-9)
    distance = ((scaled[:, None] - scaled[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1, kind="stable")[:, :NEIGHBOURS]
    guess = np.median(ages[nearest], axis=1)
    return float(np.abs(guess - ages).mean() / np.abs(ages - np.median(ages)).mean())


@pytest.mark.parametrize("light", ["white", "infrared"])
def test_the_background_tells_nothing(light: Light) -> None:
    look = features(light)
    assert ratio_to_a_constant_guess(look.background, look.ages) >= 0.97


@pytest.mark.parametrize("light", ["white", "infrared"])
def test_the_animals_mean_brightness_tells_little(light: Light) -> None:
    look = features(light)
    assert ratio_to_a_constant_guess(look.brightness, look.ages) >= 0.80


def test_the_cage_and_the_date_tell_nothing() -> None:
    animals = create_population(11, ANIMALS, born_from=date(2025, 1, 1), born_until=date(2025, 12, 31))
    ages = np.random.default_rng(1).uniform(60, 900, ANIMALS)
    born = np.array([animal.date_of_birth.toordinal() for animal in animals], float)
    male = np.array([animal.sex == "male" for animal in animals], float)
    cage = np.arange(ANIMALS) * SETUPS // ANIMALS
    assert ratio_to_a_constant_guess(np.column_stack([born, male, cage]), ages) >= 0.97


def test_the_measure_itself_finds_a_leak() -> None:
    look = features("white")
    leak = look.ages[:, None] + np.random.default_rng(2).normal(0, 60, (ANIMALS, 1))
    assert ratio_to_a_constant_guess(leak, look.ages) < 0.5
