"""A training that is interrupted goes on to the same numbers as one that was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import OperatorError
from training.losses.keypoints import keypoint_loss
from training.networks.augment import Augmented, Ranges
from training.networks.checkpoint import Checkpoint
from training.networks.training_loop import Batch, Recipe, fit, seeded


class Interrupted(Exception):
    """What ends the training in the middle."""


class Stopping(Augmented):
    """Batches that break off."""

    stop_at: int | None = None

    def __next__(self) -> Batch:
        if self.stop_at is not None and self.step == self.stop_at:
            raise Interrupted
        return super().__next__()


def trained(checkpoint: Checkpoint | None, stop_at: int | None = None, seed: int = 1) -> tuple[list[float], list]:
    """Return the losses and the weights of a tiny network after twelve steps, or after an interruption."""
    import keras

    seeded(seed)()
    source = keras.Input((32, 32, 1))
    values = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, strides=4, padding="same")(source))
    network = keras.Model(source, keras.layers.Conv2D(2, 1)(values))
    rng = np.random.default_rng(5)
    pictures = rng.integers(0, 255, (5, 32, 32, 1), dtype=np.uint8)
    points = np.concatenate([rng.uniform(4, 28, (5, 2, 2)), np.ones((5, 2, 1))], -1).astype(np.float32)
    batches = Stopping(pictures, points, batch=3, ranges=Ranges(shift_px=1), order=[0, 1], seed=seed)
    batches.stop_at = stop_at
    loss = keypoint_loss(4)
    losses = fit(network, loss, batches, Recipe(12, 3), "tiny", checkpoint)
    return losses, [np.asarray(value) for value in network.variables]


def test_the_same_numbers_after_an_interruption(tmp_path: Path) -> None:
    """Stopped at the eighth step and resumed: losses, averaged weights and statistics as without the stop."""
    path = tmp_path / "c.npz"
    whole_losses, whole = trained(None)
    with pytest.raises(Interrupted):
        trained(Checkpoint(path, "mark", resume=False, every_s=0.0), stop_at=8)
    losses, weights = trained(Checkpoint(path, "mark", resume=True, every_s=0.0))
    assert losses == whole_losses
    for one, other in zip(weights, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    """Other data, steps or seed: an error that says so, instead of weights that are half one thing, half another."""
    path = tmp_path / "c.npz"
    with pytest.raises(Interrupted):
        trained(Checkpoint(path, "mark", resume=False, every_s=0.0), stop_at=2)
    with pytest.raises(OperatorError, match=r"c\.npz: expected a checkpoint of this training"):
        trained(Checkpoint(path, "other", resume=True))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(OperatorError, match=r"c\.npz: expected a whole checkpoint"):
        trained(Checkpoint(path, "mark", resume=True))


def test_without_resume_it_begins_anew(tmp_path: Path) -> None:
    """A checkpoint that is there does not count unless it is asked for."""
    path = tmp_path / "c.npz"
    with pytest.raises(Interrupted):
        trained(Checkpoint(path, "mark", resume=False, every_s=0.0), stop_at=2)
    losses, _ = trained(Checkpoint(path, "mark", resume=False))
    assert len(losses) == 12
