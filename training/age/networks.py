"""The age model's networks: a backbone, the embedding on top of it, and the head that numpy applies on the device.

Backbones are named FAMILY-WIDTH: `plain` is 3x3 convolutions, `mobilenet` MobileNetV2 (Sandler et al., CVPR 2018).
Neither has squeeze-excite or hard-swish, which quantise badly.
"""

from __future__ import annotations

import re
from typing import Any

from edge.contract.manifest import Age
from edge.errors import OperatorError
from training.networks.blocks import block

PLAIN_WIDTHS = (12, 24, 40, 56, 80)
MOBILENET_WIDTHS = (0.35, 0.5, 0.75, 1.0)
DEFAULT = "plain-1"
FEATURES, EMBEDDING, HEAD, ITEMS, OUTLIER = "features", "embedding", "head", "items", "outlier"
"""Names of layers: the backbone's last one, the device's output, what numpy applies, the frailty items, and whether the
crop is foreign."""


def age_network(spec: Age, backbone: str = DEFAULT, reduce: int = 1) -> Any:
    """Return a Keras model: (height, width, channels) in 0..1 to the embedding (embedding_size,).

    reduce: the crop is averaged over squares of this many pixels first, inside the network: the device's crop stays as
    it is, and the rest costs a fraction.

    Raises:
        OperatorError: there is no such backbone.
    """
    import keras
    from keras import layers

    source = keras.Input((spec.height, spec.width, spec.channels))
    values = layers.AveragePooling2D(reduce, name="reduced")(source) if reduce > 1 else source
    values = _backbone(values, backbone)
    values = layers.Activation("linear", name=FEATURES)(values)
    values = layers.Conv2D(spec.embedding_size, 1, name="to_embedding")(values)
    return keras.Model(source, layers.GlobalAveragePooling2D(name=EMBEDDING)(values), name="age")


def with_head(network: Any, outputs: int, items: int = 0, *, outlier: bool = False) -> Any:
    """Return the embedding network with a dropout and a linear head of `outputs`, then logits of frailty items.

    outlier: the last output is the logit of being foreign.
    """
    import keras
    from keras import layers

    values = layers.Dropout(0.2)(network.output)
    found = [layers.Dense(outputs, name=HEAD)(values)]
    if items:
        found.append(layers.Dense(items, name=ITEMS)(values))
    if outlier:
        found.append(layers.Dense(1, name=OUTLIER)(values))
    joined = layers.Concatenate()(found) if len(found) > 1 else found[0]
    return keras.Model(network.input, joined, name="age_with_head")


def embedding_of(whole: Any) -> Any:
    """Return the part of the network that runs on the device: crop to embedding. It shares the weights."""
    import keras

    return keras.Model(whole.input, whole.get_layer(EMBEDDING).output, name="age")


def backbone_of(network: Any) -> Any:
    """Return the part that pretraining trains: crop to feature map. It shares the weights."""
    import keras

    return keras.Model(network.input, network.get_layer(FEATURES).output, name="backbone")


def check_name(backbone: str) -> tuple[str, float]:
    """Return family and width of a backbone's name.

    Raises:
        OperatorError: there is no such backbone.
    """
    found = re.fullmatch(r"(plain|mobilenet)-(\d+(?:\.\d+)?)", backbone)
    width = float(found[2]) if found else 0.0
    if found is None or not (0.2 <= width <= 4 if found[1] == "plain" else width in MOBILENET_WIDTHS):
        raise OperatorError(
            f"--network: expected plain-WIDTH (0.2 to 4, e.g. plain-1) or mobilenet-WIDTH "
            f"({', '.join(map(str, MOBILENET_WIDTHS))}), got {backbone}"
        )
    return found[1], width


def _backbone(values: Any, name: str) -> Any:
    family, width = check_name(name)
    return _plain(values, width) if family == "plain" else _mobilenet(values, width)


def _plain(values: Any, multiplier: float) -> Any:
    """Return five levels of stride 2, the lower ones with a residual block."""
    from keras import layers

    for level, width in enumerate(PLAIN_WIDTHS):
        channels = max(4, 4 * round(width * multiplier / 4))
        values = block(values, channels, stride=2)
        if level > 1:  # above, a residual block would cost more than all the rest
            values = layers.Add()([values, block(values, channels)])
    return values


def _mobilenet(values: Any, width: float) -> Any:
    """Return MobileNetV2's features of grey pixels 0..1; its own normalisation, -1..1, is a layer.

    Batch normalisation follows faster than in the original, which trains for a hundred times as many steps.
    """
    import keras
    from keras import layers

    scaled = layers.Rescaling(2.0, offset=-1.0, name="to_minus_1_to_1")(values)
    inner = keras.applications.MobileNetV2(input_tensor=scaled, alpha=width, include_top=False, weights=None)
    for layer in inner.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.95
    return inner.output
