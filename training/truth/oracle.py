"""The best that the appearance allows: the expected age of an animal that looks like this, with its age kept secret.

Two animals of one age do not look the same: they age at their own rates, show each sign at their own pace and
strength, and differ in size and coat. A model that read every visible latent off the crop without error would still be
wrong by that. The oracle is given exactly these latents, for the light of the photograph, and learns age from them on
animals that nobody else has.

Why this is a fair best. It gets what the renderer gets, after the renderer's own clipping, and nothing else: no age, no
ageing rate, no identity, sex or litter. What a crop cannot show is left out (the tail beyond its base) or rounded to
the smallest step that changes the picture by more than its noise (`RESOLUTION`); a sign of age that is present at a
thousandth of its full strength is a number in memory and not an appearance. What the network has to cope with besides,
pose, blur, noise, exposure and the locator's error, costs the oracle nothing. So it bounds the information in the crop
from above, and the excess over it is what the network loses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.simulate import create_population
from edge.simulate.appearance import Appearance, appearance_at
from training.simulated.table import STRAIN

Floats = NDArray[np.float64]

FIRST_POPULATION = 3_000_000_000
AGES_DAYS = (50.0, 930.0)
RESOLUTION = {
    "body_length_mm": 0.25,  # one pixel of the crop
    "girth_mm": 0.25,
    "tail_thickness_mm": 0.25,
    "tail_paleness": 0.02,
    "greying": 0.02,
    "thinning": 0.02,
    "roughness": 0.02,
    "bald_patches": 0.02,
    "kyphosis": 0.02,
    "cataract": 0.05,  # an eye has ten pixels
    "obesity": 0.02,
    "barbering": 0.02,
    "wounds": 0.02,
    "coat_brightness": 0.01,
}
"""The latents that a crop shows, and the step below which two of them look the same."""
_INFRARED_BRIGHTNESS = 0.6
"""Power by which a coat's own brightness counts at 850 nm (`edge.simulate.coat`)."""


@dataclass(frozen=True, eq=False)
class Oracle:
    """Fitted oracles for one light each; `predict` gives days."""

    white: tuple[Any, ...]
    infrared: tuple[Any, ...]
    exact: bool

    def predict(self, appearance: Floats, white: NDArray[np.bool_]) -> Floats:
        """Return the expected ages (n,), days, of appearances (n, 15) seen in white light or in infrared."""
        found = np.zeros(len(appearance))
        for light, models in ((True, self.white), (False, self.infrared)):
            rows = white == light
            if rows.any():
                seen = visible(appearance[rows], light, self.exact)
                found[rows] = np.mean([model.predict(seen) for model in models], axis=0)
        return found


def visible(appearance: Floats, white: bool, exact: bool = False) -> Floats:
    """Return (n, 14): what a crop in this light shows of appearances (n, 15); `exact` leaves out the rounding."""
    columns = []
    for name, step in RESOLUTION.items():
        values = appearance[:, Appearance.FIELDS.index(name)].copy()
        if name == "greying":
            values = np.maximum(values, 0.002 / 0.46)  # the renderer's least share of grey hairs
        if name == "coat_brightness" and not white:
            values = values**_INFRARED_BRIGHTNESS
        columns.append(values if exact else np.round(values / step) * step)
    return np.column_stack(columns)


def draw_appearances(count: int, seed: int = 1, first: int = FIRST_POPULATION) -> tuple[Floats, Floats]:
    """Return appearances (count, 15) and ages (count,), days, of independent animals at ages spread evenly."""
    rng = np.random.default_rng([0x0AC1E, seed])
    born = date(2020, 1, 1)
    animals = create_population(first + seed, count, born_from=born, born_until=born, strains=(STRAIN,))
    ages = rng.uniform(*AGES_DAYS, count)
    rows = [appearance_at(animal, float(age)).vector() for animal, age in zip(animals, ages, strict=True)]
    return np.array(rows), ages


def fit_oracle(appearance: Floats, ages: Floats, seed: int = 1, *, exact: bool = False) -> Oracle:
    """Return the oracle fitted on appearances (n, 15) at ages (n,), days.

    Gradient-boosted trees: a mean of the conditional expectation (squared error) and the conditional median (absolute
    error), which on unseen animals is at least as near as either.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    def fit(white: bool) -> tuple[Any, ...]:
        seen = visible(appearance, white, exact)
        return tuple(
            HistGradientBoostingRegressor(
                loss=loss,
                max_iter=400,
                learning_rate=0.05,
                max_leaf_nodes=24,
                min_samples_leaf=30,
                l2_regularization=1.0,
                early_stopping=True,
                random_state=seed,
            ).fit(seen, ages)
            for loss in ("squared_error", "absolute_error")
        )

    return Oracle(fit(True), fit(False), exact)


def paired_ratio(
    model: Floats, oracle: Floats, truth: Floats, animals: NDArray[np.int64], seed: int = 1, draws: int = 2000
) -> dict[str, float]:
    """Return both MAE, days, their ratio and its 95% interval by a paired bootstrap of the animals.

    Rows belong to `animals` (n,); a drawn animal brings all its rows with both errors, so that what is hard for both
    does not widen the interval (Efron & Tibshirani, 1993).
    """
    names, index = np.unique(animals, return_inverse=True)
    off = np.bincount(index, np.abs(model - truth)), np.bincount(index, np.abs(oracle - truth))
    rng = np.random.default_rng([seed, 0xB007])
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    ratios = (counts @ off[0]) / (counts @ off[1])
    low, high = np.quantile(ratios, (0.025, 0.975))
    return {
        "animals": float(len(names)),
        "rows": float(len(truth)),
        "mae_days": float(np.abs(model - truth).mean()),
        "oracle_mae_days": float(np.abs(oracle - truth).mean()),
        "ratio": float(off[0].sum() / off[1].sum()),
        "ratio_low_95": float(low),
        "ratio_high_95": float(high),
    }


def by_day(values: Floats, days: NDArray[np.int64]) -> Floats:
    """Return the mean of values (n,) for each animal-day, in the order of the sorted day numbers."""
    _, index = np.unique(days, return_inverse=True)
    found: Floats = np.bincount(index, values) / np.bincount(index)
    return found
