"""The one training loop.

AdamW, warm-up then cosine, clipped gradients, a moving average of the weights swapped in at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import OperatorError
from edge.host.progress import progress
from training.networks.checkpoint import Checkpoint
from training.networks.normalisation import fused_normalisation, on_tensorflow_cpu

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how fast."""

    steps: int
    batch: int
    learning_rate: float = 4e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-3
    average: float = 0.997


def fit(
    network: Any, loss: Any, batches: Iterator[Batch], recipe: Recipe, what: str, checkpoint: Checkpoint | None = None
) -> list[float]:
    """Train in place and return the loss of every step.

    With a checkpoint, `batches` has a settable `step` (training.networks.augment.Augmented), and a training that was
    interrupted goes on where it stood.
    """
    import keras

    warmup = min(recipe.warmup_steps, max(1, recipe.steps // 10))
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, max(1, recipe.steps - warmup), warmup_target=recipe.learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=recipe.weight_decay,
        clipnorm=1.0,
        use_ema=True,
        ema_momentum=min(recipe.average, 1 - 4 / max(8, recipe.steps)),
    )
    network.compile(optimizer=optimizer, loss=loss, jit_compile=jit_of_backend())
    losses: list[float] = []
    if checkpoint is not None:
        losses = checkpoint.restore(network, optimizer)
        batches.step = len(losses)  # type: ignore[attr-defined]
    try:
        with fused_normalisation(network):
            for _ in progress(range(len(losses), recipe.steps), recipe.steps, what, done=len(losses)):
                _step(network, next(batches), losses, what)
                if checkpoint is not None:
                    checkpoint.save(network, optimizer, losses)
    except KeyboardInterrupt:
        # A step that was cut short may have changed half of the variables: what was saved before it is whole.
        if checkpoint is not None and checkpoint.path.exists():
            print(f"{what}: --resume goes on from {checkpoint.path}")
        raise
    optimizer.finalize_variable_values(network.trainable_variables)
    return losses


def _step(network: Any, batch: Batch, losses: list[float], what: str) -> None:
    losses.append(float(network.train_on_batch(*batch)))
    if not np.isfinite(losses[-1]):
        raise OperatorError(f"{what}: the loss became {losses[-1]} at step {len(losses)}; lower the learning rate")


def jit_of_backend() -> bool | str:
    """Return Keras' `jit_compile`: XLA only where it pays.

    On a CPU a step of the age network (44 crops of 384 x 160) takes 0.58 s of CPU with XLA and 0.38 s without, and the
    compiling comes on top. JAX, PyTorch and GPUs decide by themselves.
    """
    return False if on_tensorflow_cpu() else "auto"


def refresh_statistics(network: Any, batches: Iterator[Batch], rounds: int) -> None:
    """Let batch normalisation see the averaged weights.

    Its running statistics belong to the last ones, not to the average.
    """
    for _ in range(rounds):
        network(next(batches)[0], training=True)


def seeded(seed: int) -> Callable[[], None]:
    """Return a function that seeds Python, numpy and the backend; call it before a network is built."""

    def apply() -> None:
        import keras

        keras.utils.set_random_seed(seed)

    return apply
