"""A bundle's three networks in memory, with what readings say of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.contract.manifest import PREPROCESS_VERSION, Manifest
from edge.contract.reading import Model
from edge.errors import BundleError
from edge.heads import output_count
from edge.model.bundle import Bundle
from edge.model.runtime import open_network, runtime_name


class Runs(Protocol):
    """A network: pixels in, numbers out."""

    @property
    def invoked_ms(self) -> float:
        """Wall time of all its bare invocations so far."""

    def run_raw(self, pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Return the int8 output without its batch axis."""

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the output without its batch axis."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """Everything `observe` needs. Arrays are the manifest's own numbers, as float32.

    head_weights (embedding_size, outputs), head_bias (outputs,), bin_centres (bins,), domain_mean (embedding_size,),
    domain_whitening (k, embedding_size), foreign_weights (embedding_size,) or (0,).
    """

    manifest: Manifest
    sha256: str
    runtime: str
    centres: Runs
    parts: Runs
    age: Runs
    head_weights: NDArray[np.float32]
    head_bias: NDArray[np.float32]
    bin_centres: NDArray[np.float32]
    domain_mean: NDArray[np.float32]
    domain_whitening: NDArray[np.float32]
    foreign_weights: NDArray[np.float32]

    @property
    def invoked_ms(self) -> float:
        """Wall time of all bare invocations of the three networks so far."""
        return self.centres.invoked_ms + self.parts.invoked_ms + self.age.invoked_ms

    def describe(self) -> Model:
        """Return what every reading says of the model."""
        manifest = self.manifest
        return Model(
            name=manifest.name,
            model_version=manifest.model_version,
            release=manifest.release,
            sha256=self.sha256,
            preprocess_version=manifest.preprocess_version,
            runtime=self.runtime,
            notice=manifest.notice,
        )


def load_model(bundle: Bundle, threads: int = 1) -> LoadedModel:
    """Return the bundle's networks, loaded and checked against the manifest.

    Raises:
        BundleError: another preprocessing version, a network that does not load or differs from the manifest.
    """
    manifest = bundle.manifest
    if manifest.preprocess_version != PREPROCESS_VERSION:
        raise BundleError(
            f"bundle: expected preprocessing version {PREPROCESS_VERSION}, got {manifest.preprocess_version}; "
            "update the program or make the bundle again"
        )
    networks = {}
    for name, spec in (("centres", manifest.centres), ("parts", manifest.parts), ("age", manifest.age)):
        network = open_network(bundle.files[f"{name}.tflite"], threads)
        for side, promised, found in (("input", spec.input, network.input), ("output", spec.output, network.output)):
            if promised.shape != found.shape:
                raise BundleError(
                    f"{name}: expected {side} shape {promised.shape} as in the manifest, got {found.shape}"
                )
        networks[name] = network
    age, domain = manifest.age, manifest.domain
    loaded = LoadedModel(
        manifest=manifest,
        sha256=bundle.sha256,
        runtime=runtime_name(),
        head_weights=np.array(age.head_weights, np.float32),
        head_bias=np.array(age.head_bias, np.float32),
        bin_centres=np.array(age.bin_centres_days, np.float32),
        domain_mean=np.array(domain.mean, np.float32),
        domain_whitening=np.array(domain.whitening, np.float32),
        foreign_weights=np.array(domain.foreign_weights, np.float32),
        **networks,
    )
    _check_shapes(loaded)
    return loaded


def _check_shapes(model: LoadedModel) -> None:
    age, bins = model.manifest.age, model.bin_centres.size
    size, outputs = age.embedding_size, output_count(age.head, bins, quantiles=max(2, model.head_bias.size))
    expected = {"head_weights": (size, outputs), "head_bias": (outputs,), "domain_mean": (size,)}
    for name, shape in expected.items():
        if getattr(model, name).shape != shape:
            raise BundleError(f"manifest: {name}: expected shape {shape}, got {getattr(model, name).shape}")
    if model.foreign_weights.shape not in ((size,), (0,)):
        raise BundleError(
            f"manifest: domain.foreign_weights: expected {size} or none, got {model.foreign_weights.size}"
        )
    if model.domain_whitening.ndim != 2 or model.domain_whitening.shape[1] != size:
        raise BundleError(f"manifest: domain.whitening: expected (k, {size}), got {model.domain_whitening.shape}")
