"""Splits by cage, and so by animal: no animal, and none of its cage mates, is on two sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.errors import OperatorError

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Boolean masks over rows: train; calibration (temperature, intervals, domain).

    Test, which nothing else touches.
    """

    train: Mask
    calibration: Mask
    test: Mask


def split_by_group(groups: NDArray[np.int32], seed: int = 1, calibration: float = 0.15, test: float = 0.15) -> Split:
    """Return the split of rows by their group (cage).

    Raises:
        OperatorError: fewer than three groups.
    """
    names = np.unique(groups)
    if len(names) < 3:
        raise OperatorError(f"split: expected at least 3 cages, got {len(names)}")
    shuffled = np.random.default_rng([seed, 17]).permutation(names)
    tests = max(1, round(len(names) * test))
    calibrations = max(1, round(len(names) * calibration))
    return Split(
        train=np.isin(groups, shuffled[tests + calibrations :]),
        calibration=np.isin(groups, shuffled[tests : tests + calibrations]),
        test=np.isin(groups, shuffled[:tests]),
    )
