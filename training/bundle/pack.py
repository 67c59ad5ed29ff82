"""From a run's folder to a signed bundle: manifest, golden inputs, model card."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle.bundle import Bundle, write_bundle
from edge.contract.bundle.keys import new_key_pair
from edge.contract.manifest import (
    AGE,
    CARD,
    CENTRES,
    GOLDEN_INPUTS,
    GOLDEN_OUTPUTS,
    PARTS,
    PREPROCESS_VERSION,
    Age,
    Budget,
    Centres,
    Manifest,
    Parts,
)
from edge.vision.model.golden import make_golden
from edge.vision.model.runtime import open_network
from training.bundle.label import Label
from training.run import AGE_SPEC, CALIBRATION, Calibration, Run


def pack_run(
    run: Run,
    out: Path,
    label: Label,
    samples: Mapping[str, NDArray[np.uint8]],
    metrics: Mapping[str, float],
    card: str,
    signing_key: bytes,
) -> str:
    """Write the bundle of a run's networks and return its SHA-256; `samples` are the golden inputs of each network."""
    networks = {name: run.read_bytes(name) for name in (CENTRES, PARTS, AGE)}
    specs = run.centres()[1], run.parts()[1], run.read_struct(AGE_SPEC, Age)
    manifest = _manifest(label, specs, run.read_struct(CALIBRATION, Calibration), metrics)
    return _write(out, manifest, networks, samples, card, signing_key)


def repack(
    bundle: Bundle,
    run: Run,
    out: Path,
    label: Label,
    samples: Mapping[str, NDArray[np.uint8]],
    card: str,
    signing_key: bytes,
) -> str:
    """Write a bundle with the run's own locator and another bundle's age model; return its SHA-256."""
    (centres, centres_spec), (parts, parts_spec) = run.centres(), run.parts()
    networks = {CENTRES: centres, PARTS: parts, AGE: bundle.files[AGE]}
    manifest = msgspec.structs.replace(
        bundle.manifest,
        name=label.name,
        model_version=label.model_version,
        release=label.release,
        created_at=datetime.now(UTC),
        notice=label.notice,
        centres=centres_spec,
        parts=parts_spec,
    )
    return _write(out, manifest, networks, samples, card, signing_key)


def signing_key(path: Path) -> bytes:
    """Return the private key of a PEM file; a missing one is made, its public key beside it as `<name>.pub`."""
    if not path.exists():
        private, public = new_key_pair()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(private)
        path.with_suffix(".pub").write_bytes(public)
    return path.read_bytes()


def _manifest(
    label: Label, specs: tuple[Centres, Parts, Age], calibration: Calibration, metrics: Mapping[str, float]
) -> Manifest:
    centres, parts, age = specs
    return Manifest(
        name=label.name,
        channel=label.channel,
        release=label.release,
        model_version=label.model_version,
        created_at=datetime.now(UTC),
        notice=label.notice,
        preprocess_version=PREPROCESS_VERSION,
        runtime_min="ai-edge-litert 1.4 / tflite-runtime 2.14",
        target_group="any",
        centres=centres,
        parts=parts,
        age=age,
        intervals=calibration.intervals,
        domain=calibration.domain,
        validity=calibration.validity,
        budget=Budget(invoke_ms=2000.0, memory_mb=200.0),
        training=calibration.training,
        metrics={name: round(float(value), 5) for name, value in metrics.items()},
        files=(),
    )


def _write(
    out: Path,
    manifest: Manifest,
    networks: Mapping[str, bytes],
    samples: Mapping[str, NDArray[np.uint8]],
    card: str,
    key: bytes,
) -> str:
    opened = {name.removesuffix(".tflite"): open_network(content) for name, content in networks.items()}
    inputs, outputs = make_golden(opened, samples, manifest)
    files = {**networks, GOLDEN_INPUTS: inputs, GOLDEN_OUTPUTS: outputs, CARD: card.encode()}
    out.parent.mkdir(parents=True, exist_ok=True)
    return write_bundle(out, manifest, files, key)
