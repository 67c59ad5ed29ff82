"""What a head gives becomes probabilities of age bins: closed forms, limits, and laws that hold for any output."""

from math import erf, sqrt

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.contract.manifest import HeadKind
from edge.vision.age_head import bin_probabilities, mean_and_spread, output_count, quantile_levels, quantiles_of
from training.networks.shapes import age_spec

BINS = np.arange(45.0, 946.0, 30.0)
KINDS: tuple[HeadKind, ...] = ("distribution", "gaussian", "quantile")


def spec(kind: HeadKind, temperature: float = 1.0):
    return msgspec.structs.replace(age_spec(), head=kind, temperature=temperature)


def softplus_inverse(value: float) -> float:
    return float(np.log(np.expm1(value)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(KINDS),
    temperature=st.floats(0.3, 3),
    draw=arrays.arrays(np.float64, (3, 31), elements=st.floats(-30, 30)),
)
def test_any_output_is_a_distribution(kind, temperature, draw) -> None:
    """Whatever a network returns, the bins hold no negative mass and sum to 1, in float32 as in float64."""
    outputs = draw[:, : output_count(kind, 31)]
    for dtype in (np.float32, np.float64):
        found = bin_probabilities(outputs.astype(dtype), spec(kind, temperature), BINS.astype(dtype))
        assert found.shape == (3, 31)
        assert (found >= 0).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(draw=arrays.arrays(np.float64, (2, 10), elements=st.floats(-20, 20)))
def test_quantiles_never_cross(draw) -> None:
    assert (np.diff(quantiles_of(draw, BINS), axis=1) > 0).all()


def test_a_gaussian_head_gives_the_normal_distribution() -> None:
    """Mean 495 and a spread of 90 days: the bins' masses are those of the normal distribution function."""
    outputs = np.array([[0.0, softplus_inverse(75 / 450)]])
    mean, spread = mean_and_spread(outputs, BINS)
    assert (mean[0], spread[0]) == pytest.approx((495, 90))
    edges = np.concatenate([BINS - 15, [960.0]])
    below = np.array([(1 + erf((edge - 495) / 90 / sqrt(2))) / 2 for edge in edges])
    np.testing.assert_allclose(bin_probabilities(outputs, spec("gaussian"), BINS)[0], np.diff(below), atol=2e-3)


def test_quantiles_of_a_uniform_distribution_come_back_as_one() -> None:
    """Equal steps from end to end of the bins: every bin has the same mass."""
    width = 2 / 10 * 930 / 900
    first = (30 + 93 / 2 - 45) / 450
    outputs = np.array([[first] + [softplus_inverse(width * 10 / 2)] * 9])
    np.testing.assert_allclose(quantiles_of(outputs, BINS)[0], 30 + 930 * quantile_levels(10), atol=0.01)
    np.testing.assert_allclose(bin_probabilities(outputs, spec("quantile"), BINS)[0], 1 / 31, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_temperature_widens_and_keeps_the_middle(kind) -> None:
    """A higher temperature spreads the same distribution and leaves its mean where it was."""
    if kind == "distribution":
        outputs = (-0.5 * ((BINS - 495) / 80) ** 2)[None]
    elif kind == "gaussian":
        outputs = np.array([[0.0, -2.0]])
    else:
        outputs = np.array([[0.6] + [softplus_inverse(0.4)] * 9])
    found = [bin_probabilities(outputs, spec(kind, value), BINS)[0] for value in (0.7, 1.0, 1.5)]
    means = [p @ BINS for p in found]
    spreads = [np.sqrt(p @ (BINS - mean) ** 2) for p, mean in zip(found, means, strict=True)]
    assert spreads[0] < spreads[1] < spreads[2]
    np.testing.assert_allclose(means, means[1], atol=2)
