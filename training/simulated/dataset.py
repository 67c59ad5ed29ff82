"""The arrays of one simulated data set, as `simulate` keeps them in RUN/data.npz."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import PREPROCESS_VERSIONS
from edge.errors import OperatorError
from training.run import DATA, Run
from training.whole_file import replacing

SIMULATED_CUT_BY = PREPROCESS_VERSIONS
"""Simulated pictures are so small that every version of the preprocessing makes the same of them."""
MAX_CENTRES = 5


@dataclass(frozen=True, eq=False)
class Dataset:
    """Arrays of one rendered data set; N views, P part crops, A age crops.

    views uint8 (N, 120, 160, 1); centres float32 (N, 5, 2), pixels of the view, NaN where there is no animal.
    parts uint8 (P, 192, 192, 1); keypoints float32 (P, parts, 3): x, y in crop pixels, visible 0 or 1.
    crops uint8 (A, 160, 384, 1); age_days float32 (A,); animal, cage int32 (A,); white bool (A,); posture int8 (A,).
    view_cage int32 (N,); part_cage int32 (P,).
    """

    views: NDArray[np.uint8]
    centres: NDArray[np.float32]
    view_cage: NDArray[np.int32]
    parts: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    part_cage: NDArray[np.int32]
    crops: NDArray[np.uint8]
    age_days: NDArray[np.float32]
    animal: NDArray[np.int32]
    cage: NDArray[np.int32]
    white: NDArray[np.bool_]

    def save(self, path: Path) -> None:
        """Write one .npz, uncompressed, whole or not at all."""
        with replacing(path) as half:
            np.savez(half, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Dataset:
        """Read what `save` wrote.

        Raises:
            OperatorError: it holds something else.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            raise OperatorError(
                f"{path}: expected the data that `cageclock-train simulate` writes, got something else "
                f"({type(error).__name__}); remove it and run simulate again"
            ) from error

    @classmethod
    def join(cls, parts: list[Dataset]) -> Dataset:
        """Return the data sets as one."""
        return cls(
            **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)}
        )


def open_data(run: Run) -> Dataset:
    """Return the run's rendered data.

    Raises:
        OperatorError: `simulate` has not run, or the file holds something else.
    """
    return Dataset.load(run.require(DATA))
