"""The threshold of the first stage lies between animals and what only resembles them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.contract.bundle.bundle import read_bundle
from edge.contract.manifest import CENTRES
from edge.vision.locate import decode_centres
from edge.vision.model.runtime import open_network
from tests.training.conftest import ROOT
from training.locator.centre_threshold import LEAST, MOST, best_threshold, with_threshold

likelihoods = st.floats(0.0, 1.0)


@given(animals=st.lists(st.floats(0.5, 1.0), min_size=1, max_size=8), beside=st.lists(st.floats(0.0, 0.3), max_size=8))
def test_what_can_be_told_apart_is_told_apart(animals: list[float], beside: list[float]) -> None:
    """Every animal is above the threshold, and so is nothing else, with room on both sides."""
    threshold = best_threshold(animals, beside)
    assert max(beside, default=0.0) < threshold < min(animals)
    assert LEAST <= threshold <= MOST


@given(animals=st.lists(likelihoods, min_size=1, max_size=8), beside=st.lists(likelihoods, max_size=8))
def test_it_stays_within_its_bounds(animals: list[float], beside: list[float]) -> None:
    """Also where nothing can be told apart."""
    assert LEAST <= best_threshold(animals, beside) <= MOST


@pytest.mark.parametrize(
    ("animals", "beside", "expected"),
    [
        ([0.5, 0.8, 0.9], [], 0.25),
        ([0.5, 0.8, 0.9], [0.3, 0.1], 0.4),
        ([0.0, 0.5, 0.9], [0.3], 0.4),  # one animal has no peak at all: no threshold helps it
        ([0.2, 0.8, 0.9], [0.3, 0.35, 0.4, 0.5], 0.65),  # the weakest one is not worth four phantoms
        ([0.1], [], LEAST),
        ([0.99], [0.95], MOST),
    ],
)
def test_known_cases(animals: list[float], beside: list[float], expected: float) -> None:
    assert best_threshold(animals, beside) == pytest.approx(expected)


def view(*blobs: tuple[int, int, int]) -> np.ndarray:
    """Return a bright picture with dark squares of 20 px, each (x, y, grey)."""
    picture = np.full((120, 160, 1), 220, np.uint8)
    for x, y, grey in blobs:
        picture[y - 10 : y + 10, x - 10 : x + 10] = grey
    return picture


def test_a_network_gets_the_threshold_that_its_own_peaks_ask_for() -> None:
    """The tiny bundle's network sees dark blobs: faint ones are shadows here, and with its own threshold they count."""
    bundle = read_bundle(ROOT / "tests/data/tiny.bundle", [(ROOT / "tests/data/tiny.pub").read_bytes()])
    content, spec = bundle.files[CENTRES], bundle.manifest.centres
    views = np.stack([view((40, 40, 20), (120, 80, 53)), view((100, 30, 25), (40, 90, 54))])
    centres = np.array([[[40, 40], [np.nan, np.nan]], [[100, 30], [np.nan, np.nan]]], np.float32)
    fitted = with_threshold(content, spec, views, centres, np.array([24, 24], np.float32))
    network = open_network(content)
    another = network.run(view((60, 60, 22), (130, 30, 53)))
    assert len(decode_centres(another, spec, 5)) == 2
    ((place, _),) = decode_centres(another, fitted, 5)
    assert place == pytest.approx((60, 60), abs=4)
