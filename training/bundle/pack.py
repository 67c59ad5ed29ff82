"""From a run's folder to a signed bundle: manifest, golden inputs, model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract import jsontext
from edge.contract.base import Scalar, Struct
from edge.contract.bundle.bundle import Bundle, write_bundle
from edge.contract.bundle.envelope import new_key_pair
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
    Domain,
    Intervals,
    Manifest,
    Parts,
    Validity,
)
from edge.errors import MessageError, OperatorError
from edge.vision.model.golden import make_golden
from edge.vision.model.runtime import open_network

NOTICE = "trained on simulated mice; no biological claim"
T = TypeVar("T")


class Calibration(Struct, frozen=True, kw_only=True):
    """What `quantise` leaves beside the age network: `calibration.json`."""

    intervals: tuple[Intervals, ...]
    domain: Domain
    validity: Validity
    training: dict[str, Scalar]


@dataclass(frozen=True, slots=True)
class Label:
    """What a person decides about a bundle."""

    name: str
    model_version: str
    release: int
    notice: str = NOTICE
    channel: str = "demo"


def save_struct(path: Path, value: msgspec.Struct) -> None:
    """Write a struct as indented JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(jsontext.encode(value), indent=1) + b"\n")


def load_struct(path: Path, kind: type[T]) -> T:
    """Return the struct that a run's file holds.

    Raises:
        OperatorError: it is missing or malformed.
    """
    try:
        return jsontext.decode(path.read_bytes(), kind)
    except FileNotFoundError as error:
        raise OperatorError(f"{path}: there is no such file; run the steps before this one") from error
    except MessageError as error:
        raise OperatorError(f"{path}: {error}") from error


def pack_run(
    run: Path,
    out: Path,
    label: Label,
    samples: Mapping[str, NDArray[np.uint8]],
    metrics: Mapping[str, float],
    card: str,
    signing_key: bytes,
) -> str:
    """Write the bundle of a run's networks and return its SHA-256; `samples` are the golden inputs of each network."""
    networks = {name: (run / name).read_bytes() for name in (CENTRES, PARTS, AGE)}
    calibration = load_struct(run / "calibration.json", Calibration)
    manifest = _manifest(
        label,
        (
            load_struct(run / "centres.json", Centres),
            load_struct(run / "parts.json", Parts),
            load_struct(run / "age.json", Age),
        ),
        calibration,
        metrics,
    )
    return _write(out, manifest, networks, samples, card, signing_key)


def repack(
    bundle: Bundle,
    run: Path,
    out: Path,
    label: Label,
    samples: Mapping[str, NDArray[np.uint8]],
    card: str,
    signing_key: bytes,
) -> str:
    """Write a bundle with the run's own locator and another bundle's age model; return its SHA-256."""
    networks = {CENTRES: (run / CENTRES).read_bytes(), PARTS: (run / PARTS).read_bytes(), AGE: bundle.files[AGE]}
    manifest = msgspec.structs.replace(
        bundle.manifest,
        name=label.name,
        model_version=label.model_version,
        release=label.release,
        created_at=datetime.now(UTC),
        notice=label.notice,
        centres=load_struct(run / "centres.json", Centres),
        parts=load_struct(run / "parts.json", Parts),
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
