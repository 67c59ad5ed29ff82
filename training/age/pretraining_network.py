"""The network that pretraining trains: backbone, projector and predictor, its loss in `compute_loss`.

Imported only where Keras is in use, because its class is a Keras model. Everything is keras.ops, so that Keras runs it
on TensorFlow, JAX or PyTorch alike.
"""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import layers

from training.losses.simsiam import simsiam_loss
from training.losses.vicreg import vicreg_loss

Method = Literal["simsiam", "vicreg"]


class Pretrainer(keras.Model):  # type: ignore[misc]
    """Two views of each picture, (n, 2, h, w, c), through one backbone.

    SimSiam (Chen & He, CVPR 2021): three-layer projector, two-layer predictor with a bottleneck of a quarter. VICReg
    (Bardes et al., ICLR 2022): three-layer expander, no predictor.
    """

    def __init__(self, backbone: Any, method: Method, width: int = 256) -> None:
        """Keep the backbone (crop to feature map); `width` is that of projector and predictor."""
        super().__init__(name="pretrainer")
        self.backbone = backbone
        self.method = method
        self.pool = layers.GlobalAveragePooling2D()
        self.projector = _perceptron([width, width, width], last_normalised=method == "simsiam")
        self.predictor = _perceptron([width // 4, width]) if method == "simsiam" else None

    def call(self, views: Any, training: bool | None = None) -> Any:
        """Return projections, and behind them predictions where the method has them: (n, 2, d or 2 d)."""
        shape = keras.ops.shape(views)
        pictures = keras.ops.reshape(views, (-1, *views.shape[2:]))
        values = self.projector(self.pool(self.backbone(pictures, training=training)), training=training)
        if self.predictor is not None:
            values = keras.ops.concatenate([values, self.predictor(values, training=training)], axis=-1)
        return keras.ops.reshape(values, (shape[0], 2, values.shape[-1]))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the method's loss; there are no labels."""
        if self.predictor is None:
            return vicreg_loss(y_pred)
        width = y_pred.shape[-1] // 2
        return simsiam_loss(y_pred[..., width:], y_pred[..., :width])


def _perceptron(widths: list[int], *, last_normalised: bool = False) -> Any:
    """Return dense layers with batch normalisation and ReLU between them."""
    stack: list[Any] = []
    for number, width in enumerate(widths, 1):
        last = number == len(widths)
        stack.append(layers.Dense(width, use_bias=last and not last_normalised))
        if not last or last_normalised:
            stack.append(layers.BatchNormalization(momentum=0.95))
        if not last:
            stack.append(layers.ReLU())
    return keras.Sequential(stack)
