"""A bundle's three networks in memory, with what readings state of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import Manifest, Tensor
from edge.contract.reading import Model
from edge.errors import BundleError
from edge.vision.model.consistency import contradictions
from edge.vision.model.runtime import open_network, runtime_name
from edge.vision.views import check_version

_SAME_SCALE = 1e-6
"""The file has float32, the manifest the same number in decimals."""


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
        """Return what every reading states of the model."""
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
        BundleError: a preprocessing version that is not here, a manifest that contradicts itself, a network that does
            not load or differs from the manifest.
    """
    manifest = bundle.manifest
    check_version(manifest.preprocess_version)
    check_manifest(manifest)
    networks = {}
    for name, spec in (("centres", manifest.centres), ("parts", manifest.parts), ("age", manifest.age)):
        try:
            network = open_network(bundle.files[f"{name}.tflite"], threads)
        except BundleError as error:
            raise BundleError(f"{name}: {error}") from error
        for side, promised, found in (("input", spec.input, network.input), ("output", spec.output, network.output)):
            _check_tensor(f"{name}: {side}", promised, found)
        networks[name] = network
    return assemble_model(manifest, networks, bundle.sha256)


def check_manifest(manifest: Manifest) -> None:
    """Return where the manifest agrees with itself.

    Raises:
        BundleError: it does not; the first five of its contradictions.
    """
    wrong = contradictions(manifest)
    if wrong:
        raise BundleError("manifest: " + "; ".join(wrong[:5]))


def assemble_model(manifest: Manifest, networks: Mapping[str, Runs], sha256: str) -> LoadedModel:
    """Return the model that a checked manifest and its three networks, by name, make."""
    age, domain = manifest.age, manifest.domain
    return LoadedModel(
        manifest=manifest,
        sha256=sha256,
        runtime=runtime_name(),
        head_weights=np.array(age.head_weights, np.float32),
        head_bias=np.array(age.head_bias, np.float32),
        bin_centres=np.array(age.bin_centres_days, np.float32),
        domain_mean=np.array(domain.mean, np.float32),
        domain_whitening=np.array(domain.whitening, np.float32),
        foreign_weights=np.array(domain.foreign_weights, np.float32),
        centres=networks["centres"],
        parts=networks["parts"],
        age=networks["age"],
    )


def _check_tensor(what: str, promised: Tensor, found: Tensor) -> None:
    """Compare what decides about the meaning of an output: a wrong scale makes every age wrong, in silence."""
    for field in ("shape", "dtype", "zero_point"):
        stated, has = getattr(promised, field), getattr(found, field)
        if stated != has:
            raise BundleError(f"{what} {field.replace('_', ' ')}: expected {stated} as in the manifest, got {has}")
    if not math.isclose(promised.scale, found.scale, rel_tol=_SAME_SCALE):
        raise BundleError(f"{what} scale: expected {promised.scale:.9g} as in the manifest, got {found.scale:.9g}")
