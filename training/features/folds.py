"""Folds of animals: each animal on one side only, every fold with young and old ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


def group_folds(animals: NDArray[np.object_], target: NDArray[np.float64], count: int, seed: int) -> Iterator[Fold]:
    """Yield (train, test) row indices; animals in the order of their mean target are dealt out, `count` at a time.

    Never more folds than animals. The order within each deal is drawn from the seed.
    """
    means = pd.Series(target).groupby(animals.astype(str)).mean()
    rng = np.random.default_rng([seed, 41])
    names = means.index.to_numpy()[np.lexsort((rng.permutation(len(means)), means.to_numpy()))]
    count = min(count, len(names))
    fold_of: dict[str, int] = {}
    for start in range(0, len(names), count):
        deal = rng.permutation(count)
        fold_of |= {str(name): int(fold) for name, fold in zip(names[start : start + count], deal, strict=False)}
    fold = np.array([fold_of[str(animal)] for animal in animals])
    for number in range(count):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)
