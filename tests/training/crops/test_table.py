"""Crops and their table: written, read again, split by whom animals lived with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from edge.errors import OperatorError
from edge.simulate.appearance import appearance_at
from training.crops.table import COLUMNS, Crops, complete, split_groups
from training.run import Run
from training.simulated.dataset import open_data
from training.simulated.render import simulate
from training.simulated.table import animals_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cages, one visit of two days, twice a day."""
    folder = tmp_path_factory.mktemp("crops")
    simulate(Run(folder), cages=2, frames=2, seed=4, workers=1, days=2, repeats=2)
    return folder


def test_simulated_crops_come_with_their_table(run: Path) -> None:
    crops, data = Crops.load(Run(run)), open_data(Run(run))
    assert len(crops) == len(data.crops) > 0
    assert np.array_equal(crops.pixels, data.crops)
    assert list(crops.table.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert crops.table.age_days.to_numpy() == pytest.approx(data.age_days, abs=1e-3)
    assert crops.table.weight_g.between(10, 70).all()
    assert set(crops.table.sex) <= {"F", "M"}


def test_the_latents_are_those_of_the_animal_at_that_age(run: Path) -> None:
    row = Crops.load(Run(run)).table.iloc[0]
    animals = {animal.subject_id: animal for cage in range(2) for animal in animals_of(4, cage)}
    expected = appearance_at(animals[row.subject], row.age_days)
    assert row.truth_body_length_mm == pytest.approx(expected.body_length_mm, rel=1e-5)
    assert row.truth_greying == pytest.approx(expected.greying, abs=1e-5)


def test_repeats_are_minutes_apart_and_days_follow_each_other(run: Path) -> None:
    table = Crops.load(Run(run)).table
    one = table[table.subject == table.subject.value_counts().index[0]].sort_values("captured_at")
    minutes = one.captured_at.diff().dt.total_seconds().dropna() / 60
    assert minutes.round().isin([5, 1435, 1440, 1445]).any()
    assert table.captured_at.dt.tz is not None
    assert table.captured_at.notna().all()


def test_an_older_data_file_gets_its_table_without_rendering(run: Path, tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes((run / "data.npz").read_bytes())
    simulate(Run(tmp_path), cages=99, frames=99, seed=4)
    assert (tmp_path / "crops.csv").read_bytes() == (run / "crops.csv").read_bytes()


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    table = complete(pd.DataFrame({"subject": ["7", "NA"], "age_days": [1.5, 2], "item_fur_loss": [0.5, np.nan]}))
    Crops(np.zeros((2, 160, 384, 1), np.uint8), table).save(Run(tmp_path))
    again = Crops.load(Run(tmp_path)).table
    assert again.subject.tolist() == ["7", "NA"]
    assert again.captured_at.isna().all()
    assert (again.cage == "").all()
    assert again.item_fur_loss.isna().tolist() == [False, True]


def test_a_folder_without_crops_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cageclock-train simulate"):
        Crops.load(Run(tmp_path))


def test_animals_that_ever_shared_a_cage_are_one_group() -> None:
    table = complete(pd.DataFrame({"subject": list("aabcd"), "cage": ["1", "2", "2", "3", ""]}))
    assert split_groups(table).tolist() == [0, 0, 0, 1, 2]
