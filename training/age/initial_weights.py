"""Where a backbone's first weights come from: nowhere, a file of `pretrain`, or a MobileNetV2 file of Keras.

Nothing is ever fetched. What was used is recorded by digest, licence and normalisation, which go into the manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.contract.base import Scalar
from edge.errors import OperatorError
from training.age.networks import backbone_of, check_name
from training.run import BACKBONE

DESCRIPTION = "backbone.json"
_IMAGENET_LICENCE = "Apache-2.0 (Keras Applications); trained on ImageNet, whose pictures have their own terms"


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights and what its owner says of it."""

    path: Path
    source: str
    licence: str
    normalisation: str

    def describe(self) -> dict[str, Scalar]:
        """Return what the manifest says: source, sha256, licence, normalisation."""
        return {
            "weights": self.source,
            "weights_sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
            "weights_licence": self.licence,
            "weights_normalisation": self.normalisation,
        }


def find_weights(wanted: str, backbone: str, licence: str | None = None) -> Weights | None:
    """Return the weights of `--weights none|FILE|imagenet`, or None.

    Raises:
        OperatorError: there is no such file, or `imagenet` for a backbone that Keras has none for.
    """
    if wanted == "none":
        return None
    family, width = check_name(backbone)
    if wanted == "imagenet":
        return _imagenet(family, width, backbone)
    path = Path(wanted)
    if path.is_dir():
        path = path / BACKBONE
    if not path.is_file():
        raise OperatorError(
            f"--weights {wanted}: there is no such file; expected none, imagenet, {BACKBONE} as "
            "`cageclock-train pretrain` leaves it in its RUN, or MobileNetV2 weights of Keras (.h5)"
        )
    if path.suffix == ".h5":
        return Weights(path, path.name, licence or "not stated", "pixel / 127.5 - 1, as a layer of the network")
    stated = _description(path)
    source = stated.get("source", path.name)
    return Weights(path, str(source), licence or str(stated.get("licence", "not stated")), "pixel / 255")


def put_weights(network: Any, weights: Weights, backbone: str) -> None:
    """Put the weights into the embedding network's backbone of that name, in place.

    Raises:
        OperatorError: the file holds another network, or is damaged.
    """
    if weights.path.suffix == ".h5":
        _put_colour_weights(network, weights.path, check_name(backbone))
        return
    import keras

    part = backbone_of(network)
    try:
        values = keras.models.load_model(weights.path, compile=False).get_weights()
    except Exception as error:  # zip, JSON, HDF5 and Keras each have their own
        raise OperatorError(f"{weights.path}: expected a Keras model, got {_first_line(error)}") from error
    expected, found = [value.shape for value in part.get_weights()], [value.shape for value in values]
    if expected != found:
        raise OperatorError(
            f"{weights.path}: expected {len(expected)} tensors beginning {expected[0]}, got {len(found)} "
            f"beginning {found[0] if found else 'nothing'}; give the same --network as to `cageclock-train pretrain`"
        )
    part.set_weights(values)


def _imagenet(family: str, width: float, backbone: str) -> Weights:
    """Return Keras' own file, if a person has put it where Keras looks."""
    if family != "mobilenet":
        raise OperatorError(f"--weights imagenet: expected --network mobilenet-WIDTH, got {backbone}")
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
    path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models" / name
    if not path.is_file():
        raise OperatorError(
            f"--weights imagenet: {path} is not there and nothing is fetched; get {name} of Keras Applications' "
            f"MobileNetV2 yourself and put it there, or give it as --weights FILE"
        )
    return Weights(path, "imagenet", _IMAGENET_LICENCE, "pixel / 127.5 - 1, as a layer of the network")


def _put_colour_weights(network: Any, path: Path, name: tuple[str, float]) -> None:
    """Fill MobileNetV2 for grey from one for colour: three equal channels through a kernel are one through its sum."""
    import keras

    family, width = name
    if family != "mobilenet":
        raise OperatorError(f"{path}: expected --network mobilenet-WIDTH for a .h5 file of MobileNetV2")
    grey = network.get_layer("Conv1").kernel.shape[2]
    try:
        colour = keras.applications.MobileNetV2(
            input_shape=(96, 96, 3), alpha=width, include_top=False, weights=str(path)
        )
    except (ValueError, OSError, KeyError) as error:
        raise OperatorError(f"{path}: expected MobileNetV2 weights without top, got {_first_line(error)}") from error
    for layer in colour.layers:
        values = layer.get_weights()
        if not values:
            continue
        if layer.name == "Conv1" and grey == 1:
            values = [np.sum(values[0], axis=2, keepdims=True)]
        network.get_layer(layer.name).set_weights(values)


def _description(path: Path) -> dict[str, Any]:
    beside = path.with_name(DESCRIPTION)
    if not beside.is_file():
        return {}
    try:
        stated = json.loads(beside.read_text())
    except ValueError as error:
        raise OperatorError(f"{beside}: expected JSON as `cageclock-train pretrain` writes it, got {error}") from error
    return stated if isinstance(stated, dict) else {}


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
