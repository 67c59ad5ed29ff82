"""Reliability against published figures, and against readings drawn with known variances."""

import numpy as np
import pytest

from edge.errors import OperatorError
from training.statistics.reliability import reliability

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)
"""Table 2 of Shrout and Fleiss (1979): six targets, four judges."""


def test_shrout_and_fleiss_figures_come_out() -> None:
    """ICC(1,1) 0.17, ICC(2,1) 0.29, ICC(3,1) 0.71, mean square within targets 6.26."""
    found = reliability(SHROUT_FLEISS)
    assert (round(found.icc_1, 2), round(found.icc_a, 2), round(found.icc_c, 2)) == (0.17, 0.29, 0.71)
    assert found.sem**2 == pytest.approx(6.26, abs=0.005)


def test_intervals_are_those_of_the_r_package_psych() -> None:
    """`psych::ICC` prints these 95% intervals for the same table."""
    found = reliability(SHROUT_FLEISS)
    assert found.icc_1_95 == pytest.approx((-0.13, 0.72), abs=0.005)
    assert found.icc_a_95 == pytest.approx((0.02, 0.76), abs=0.005)
    assert found.icc_c_95 == pytest.approx((0.34, 0.95), abs=0.005)


def test_known_variances_come_back() -> None:
    """Animals of sd 60 read with sd 30: ICC 0.8, SEM 30, minimal detectable change 83."""
    rng = np.random.default_rng(1)
    values = rng.normal(0, 60, (2000, 1)) + rng.normal(0, 30, (2000, 3))
    found = reliability(values)
    assert found.icc_1 == pytest.approx(0.8, abs=0.02)
    assert found.icc_a == pytest.approx(found.icc_1, abs=0.01), "no reading differs from the others on average"
    assert found.sem == pytest.approx(30, rel=0.03)
    assert found.change == pytest.approx(1.96 * np.sqrt(2) * 30, rel=0.03)


def test_a_drift_between_readings_lowers_agreement_and_not_consistency() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 60, (500, 1)) + rng.normal(0, 10, (500, 2)) + np.array([0.0, 100.0])
    found = reliability(values)
    assert found.icc_c > 0.95
    assert found.icc_a < 0.6


@pytest.mark.parametrize("values", [np.ones((1, 3)), np.ones((5, 1)), np.array([[1, 2], [3, np.nan]])])
def test_too_little_is_one_clear_error(values: np.ndarray) -> None:
    with pytest.raises(OperatorError, match="expected at least 2 animals"):
        reliability(values)
