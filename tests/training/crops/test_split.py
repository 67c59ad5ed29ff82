"""Splits never share an animal, nor a cage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import OperatorError
from training.crops.split import split_by_group


@given(st.lists(st.integers(0, 40), min_size=3, max_size=300), st.integers(0, 1000))
def test_every_row_is_on_one_side_and_no_group_on_two(groups: list[int], seed: int) -> None:
    """Whatever the groups, each row falls on exactly one side and each group stays whole."""
    rows = np.array([*groups, 100, 101, 102], np.int32)
    split = split_by_group(rows, seed)
    sides = np.stack([split.train, split.calibration, split.test])
    assert (sides.sum(axis=0) == 1).all()
    assert sides.any(axis=1).all()
    for group in np.unique(rows):
        assert sides[:, rows == group].any(axis=1).sum() == 1


def test_rows_of_another_table_split_the_same_way() -> None:
    """Two tables that name the same cages put each cage on the same side: locator and age model share no test cage."""
    cages = np.arange(30, dtype=np.int32)
    often = np.repeat(cages, 7)
    once, again = split_by_group(cages, 3), split_by_group(often, 3)
    np.testing.assert_array_equal(np.unique(often[again.test]), cages[once.test])


def test_two_cages_cannot_be_split_three_ways() -> None:
    """Too few cages is an error that says how many are needed."""
    with pytest.raises(OperatorError, match="expected at least 3 cages, got 2"):
        split_by_group(np.array([1, 1, 2], np.int32))
