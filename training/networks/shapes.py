"""The shapes of the demo's networks, before they are trained: what the device will cut, at which scale."""

from __future__ import annotations

from edge.contract.manifest import SMALL_WIDTH, Age, Centres, Parts, Tensor

KEYPOINTS = ("snout", "left_ear", "right_ear", "tail_base")
BIN_WIDTH_DAYS = 30.0
BINS = tuple(45.0 + BIN_WIDTH_DAYS * index for index in range(31))
"""Centres of the age bins, days: 45 to 945."""
EMBEDDING_SIZE = 32

_NOT_YET = Tensor(name="", shape=(), dtype="int8", scale=1.0, zero_point=0)
"""Filled in from the quantised network."""


def centres_spec() -> Centres:
    """Return the first stage: 160x120 grey, heatmap 40x30."""
    return Centres(
        width=160,
        height=120,
        stride=4,
        channels=1,
        threshold=0.4,
        min_distance_px=12.0,
        small_width=SMALL_WIDTH,
        input=_NOT_YET,
        output=_NOT_YET,
    )


def parts_spec(keypoints: tuple[str, ...] = KEYPOINTS, px_per_mm: float = 1.5) -> Parts:
    """Return the second stage: 192x192 grey, a heatmap 48x48 a body part."""
    return Parts(
        size=192,
        px_per_mm=px_per_mm,
        stride=4,
        channels=1,
        keypoints=keypoints,
        likelihood_a=0.0,
        likelihood_b=1.0,
        min_likelihood=0.5,
        input=_NOT_YET,
        output=_NOT_YET,
    )


def age_spec() -> Age:
    """Return the age model: 384x160 grey at 4 px/mm, which is 96 x 40 mm around the animal's axis."""
    return Age(
        width=384,
        height=160,
        px_per_mm=4.0,
        channels=1,
        bin_centres_days=BINS,
        embedding_size=EMBEDDING_SIZE,
        head_weights=(),
        head_bias=(),
        temperature=1.0,
        input=_NOT_YET,
        output=_NOT_YET,
    )
