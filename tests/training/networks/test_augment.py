"""Augmentation moves pixels and labels together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from training.networks.augment import Augmented, Ranges, change_light, grain, mirror_order


def test_a_mirrored_mouse_exchanges_its_ears() -> None:
    """Left and right change places, the rest stays."""
    assert mirror_order(("snout", "leftear", "rightear", "tailbase")) == [0, 2, 1, 3]
    assert mirror_order(("left_ear", "nose", "right_ear")) == [2, 1, 0]
    assert mirror_order(("left_paw", "snout")) == [0, 1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_label_follows_its_blob(seed: int) -> None:
    """Whatever the turn, zoom, shear, shift and mirror: a bright blob is where its label says."""
    picture = np.zeros((1, 96, 96, 1), np.uint8)
    picture[0, 40:47, 50:57] = 255
    points = np.array([[[53.5, 43.5, 1.0]]], np.float32)
    pixels, moved = next(
        Augmented(picture, points, batch=1, ranges=Ranges(shift_px=8, noise=0.0), order=[0], seed=seed)
    )
    x, y, visible = moved[0, 0, :, 0]
    light = np.clip(pixels[0, :, :, 0] - np.median(pixels), 0, None)
    columns, rows = np.arange(96) + 0.5, np.arange(96) + 0.5
    assert visible == 1
    assert abs((light.sum(0) * columns).sum() / light.sum() - x) < 1.0
    assert abs((light.sum(1) * rows).sum() / light.sum() - y) < 1.0


def test_a_label_moved_out_of_the_picture_no_longer_counts() -> None:
    """A part outside the augmented picture is marked invisible."""
    picture = np.zeros((1, 64, 64, 1), np.uint8)
    corner = np.array([[[0.5, 0.5, 1.0]]], np.float32)
    batches = Augmented(picture, corner, batch=16, ranges=Ranges(), order=[0], seed=3)
    _, moved = next(batches)
    inside = ((moved[:, 0, :2, 0] >= 0) & (moved[:, 0, :2, 0] < 64)).all(axis=1)
    assert not inside.all()
    np.testing.assert_array_equal(moved[:, 0, 2, 0] > 0, inside)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_light_changes_grey_levels_alone(seed: int, strength: float) -> None:
    """Without noise a grey level stays one level, brighter ones stay brighter, and nothing leaves 0..1."""
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    changed = change_light(picture, np.random.default_rng(seed), 0.0, strength).ravel()
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (np.diff(changed) >= 0).all()
    assert (np.abs(changed - np.linspace(0, 1, 256)) <= 0.1 + 0.25 * strength).all()


def test_no_strength_changes_nothing() -> None:
    """The picture in 0..1."""
    picture = np.random.default_rng(1).integers(0, 256, (20, 30, 1), dtype=np.uint8)
    same = change_light(picture, np.random.default_rng(2), 0.0, 0.0)
    np.testing.assert_allclose(same, picture / 255, atol=1e-6)


def test_grain_is_normal_and_another_each_time() -> None:
    """Also for a picture larger than the table was to begin with."""
    rng = np.random.default_rng(4)
    found = grain((1200, 1300, 1), rng)
    assert found.shape == (1200, 1300, 1)
    assert abs(float(found.mean())) < 0.01
    assert abs(float(found.std()) - 1) < 0.01
    assert abs(float((np.abs(found) < 1).mean()) - 0.6827) < 0.01
    assert not np.array_equal(np.abs(grain((64, 64), rng)), np.abs(grain((64, 64), rng)))
