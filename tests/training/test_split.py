"""No animal, and none of its cage mates, is on two sides of a split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import OperatorError
from training.split import split_by_group


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(0, 5))
def test_every_row_has_one_side_and_every_cage_too(cages: list[int], seed: int) -> None:
    groups = np.array(cages, np.int32)
    if len(np.unique(groups)) < 3:
        with pytest.raises(OperatorError, match="at least 3 cages"):
            split_by_group(groups, seed)
        return
    split = split_by_group(groups, seed)
    sides = np.stack([split.train, split.calibration, split.test])
    assert (sides.sum(0) == 1).all()
    for cage in np.unique(groups):
        assert (sides[:, groups == cage].any(1)).sum() == 1
    assert split.test.any()
    assert split.calibration.any()
