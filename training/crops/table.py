"""Aligned crops with what is known of each animal: the one form in which pictures reach the age model.

RUN/crops.npz   pixels uint8 (n, height, width, 1)
RUN/crops.csv   one row a crop, in the same order
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.errors import OperatorError
from training.run import CROP_TABLE, CROPS, Run

TEXT = ("subject", "litter", "strain", "sex", "cage", "camera", "site", "light", "picture", "treatment")
NUMBERS = ("age_days", "age_uncertainty_days", "weight_g")
COLUMNS = (
    *("subject", "age_days", "age_uncertainty_days", "litter", "strain", "sex", "cage", "camera", "site"),
    *("captured_at", "light", "weight_g", "picture", "treatment"),
)
TRUTH = "truth_"
"""Prefix of what only a simulation knows; never an input of a model."""


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Crops uint8 (n, height, width, 1) as the device cuts them, and their table of n rows.

    The table has COLUMNS (text missing: "", numbers missing: NaN, captured_at aware UTC or NaT), whatever else the
    dataset gave (frailty items), and for simulated animals the visible latents as truth_* columns.
    """

    pixels: NDArray[np.uint8]
    table: pd.DataFrame

    def __len__(self) -> int:
        """Return how many crops there are."""
        return len(self.pixels)

    def at(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Crops:
        """Return some of the rows (mask or indices), their table numbered anew."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Crops(self.pixels[chosen], self.table.iloc[chosen].reset_index(drop=True))

    def groups(self) -> NDArray[np.int32]:
        """Return int32 (n,): what may not be on two sides of a split: the cage, or the animal where no cage is given.

        A cage counts once even where its animals moved: all animals ever joined by a cage are one group.
        """
        return split_groups(self.table)

    def save(self, run: Run, cut_by: tuple[str, ...] = ("2",)) -> None:
        """Write RUN/crops.npz and crops.csv; the table is written last, so that a half-done pair is never read.

        cut_by: the versions of the preprocessing that make these very crops.
        """
        if len(self.pixels) != len(self.table):
            raise OperatorError(f"crops: expected one row a crop, got {len(self.pixels)} and {len(self.table)} rows")
        run.path(CROP_TABLE).unlink(missing_ok=True)
        run.note_cut_by(CROPS, cut_by)
        with run.writing(CROPS) as half:
            np.savez(half, pixels=self.pixels)
        table = self.table.copy()
        table["captured_at"] = pd.to_datetime(table["captured_at"], utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        with run.writing(CROP_TABLE) as half:
            table.to_csv(half, index=False)

    @classmethod
    def load(cls, run: Run) -> Crops:
        """Read what `save` wrote.

        Raises:
            OperatorError: there are no crops, or the files hold something else.
        """
        path = run.require(CROP_TABLE)
        try:
            with np.load(run.require(CROPS), allow_pickle=False) as arrays:
                pixels = arrays["pixels"]
            table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False, na_values=[""])
            for name in COLUMNS:
                if name not in table:
                    table[name] = np.nan if name in NUMBERS else ""
            table[list(TEXT)] = table[list(TEXT)].fillna("").astype(str)
            table["captured_at"] = pd.to_datetime(table["captured_at"].replace("", None), utc=True)
            table = table.astype(dict.fromkeys(NUMBERS, float))
        except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise OperatorError(f"{path}: expected the crops that `simulate` or `crops` writes, got {error}") from error
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or len(pixels) != len(table):
            raise OperatorError(f"{path}: {len(table)} rows for crops {pixels.dtype} {pixels.shape}; make them again")
        return cls(pixels, table)


def complete(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with all COLUMNS first, missing ones filled with their missing value, the rest after them."""
    table = table.copy()
    for name in COLUMNS:
        if name not in table:
            table[name] = np.nan if name in NUMBERS else pd.NaT if name == "captured_at" else ""
    table["captured_at"] = pd.to_datetime(table["captured_at"], utc=True)
    return table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]].reset_index(drop=True)


def split_groups(table: pd.DataFrame) -> NDArray[np.int32]:
    """Return int32 (n,): connected components of animals and the cages that they were ever in."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    names = []
    for number, row in enumerate(table[["subject", "cage", "site"]].itertuples(index=False)):
        cage = f"cage {row.site} {row.cage}" if row.cage else ""
        subject = f"subject {row.subject}" if row.subject else cage or f"row {number}"
        if cage:
            parent[root(subject)] = root(cage)
        names.append(subject)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(root(name), len(numbers)) for name in names], np.int32)
