"""From a run's folder to a signed bundle: manifest, golden inputs, model card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from cryptography.hazmat.primitives import serialization
from numpy.typing import NDArray

from edge.contract.bundle.bundle import Bundle, bundle_bytes, manifest_bytes, write_bundle
from edge.contract.bundle.envelope import enclose
from edge.contract.bundle.keys import open_private, write_key_pair
from edge.contract.manifest import (
    AGE,
    CARD,
    CENTRES,
    GOLDEN_INPUTS,
    GOLDEN_OUTPUTS,
    PARTS,
    Age,
    Budget,
    Centres,
    Manifest,
    Parts,
)
from edge.errors import OperatorError
from edge.vision.model.golden import make_golden
from edge.vision.model.runtime import open_network
from training import whole_file
from training.bundle.label import Label
from training.bundle.ledger import content_of, count
from training.bundle.passphrase import unlocked
from training.run import AGE_SPEC, CALIBRATION, Calibration, Run

MADE = "made.json"
"""When each content was built first."""
OWN_KEY = "key.pem"
"""In a run's folder: made where it is missing, without a passphrase."""


def pack_run(
    run: Run,
    out: Path,
    label: Label,
    samples: Mapping[str, NDArray[np.uint8]],
    metrics: Mapping[str, float],
    card: str,
    signing_key: bytes | None,
    book: Path | None = None,
) -> str:
    """Write the bundle of a run's networks and return its SHA-256; `samples` are the golden inputs of each network.

    signing_key: None leaves it unsigned and its release uncounted. book: the ledger that counts it.
    """
    networks = {name: run.read_bytes(name) for name in (CENTRES, PARTS, AGE)}
    specs = run.centres()[1], run.parts()[1], run.read_struct(AGE_SPEC, Age)
    manifest = _manifest(label, specs, run.read_struct(CALIBRATION, Calibration), metrics, run.preprocess_version())
    files = _files(manifest, networks, samples, card)
    manifest = msgspec.structs.replace(manifest, created_at=_made_at(run, manifest, files))
    out.parent.mkdir(parents=True, exist_ok=True)
    if signing_key is None:
        body = manifest_bytes(manifest, files)
        whole_file.write_bytes(out, bundle_bytes(enclose(body, {}), files))
        return hashlib.sha256(body).hexdigest()
    if book is not None:
        manifest = count(book, manifest, files, label.release)
    return write_bundle(out, manifest, files, signing_key)


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
        release=label.release or 1,
        created_at=datetime.now(UTC),
        notice=label.notice,
        centres=centres_spec,
        parts=parts_spec,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    return write_bundle(out, manifest, _files(manifest, networks, samples, card), signing_key)


def signing_key(path: Path, passphrase_file: Path | None = None) -> bytes:
    """Return the private key (PEM) of a file, its passphrase asked for; only a run's own key is made where missing.

    Raises:
        OperatorError: there is none at a path that somebody named, or it cannot be used.
    """
    if not path.exists():
        if path.name != OWN_KEY:
            raise OperatorError(
                f"{path}: there is no such key; correct the path, or `cageclock-train keys create {path}`"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_key_pair(path, path.with_suffix(".pub"))
        print(f"{path}: a new key without a passphrase, for trying things out; `keys create` makes one for a fleet")
    pem, passphrase = unlocked(path, passphrase_file)
    if passphrase is None:
        return pem
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    plain: bytes = open_private(pem, passphrase).private_bytes(encoding, form, serialization.NoEncryption())
    return plain


def _manifest(
    label: Label,
    specs: tuple[Centres, Parts, Age],
    calibration: Calibration,
    metrics: Mapping[str, float],
    version: str,
) -> Manifest:
    centres, parts, age = specs
    return Manifest(
        name=label.name,
        channel=label.channel,
        release=label.release or 1,
        model_version=label.model_version,
        created_at=datetime.now(UTC).replace(microsecond=0),
        notice=label.notice,
        preprocess_version=version,
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


def _files(
    manifest: Manifest, networks: Mapping[str, bytes], samples: Mapping[str, NDArray[np.uint8]], card: str
) -> dict[str, bytes]:
    opened = {name.removesuffix(".tflite"): open_network(content) for name, content in networks.items()}
    inputs, outputs = make_golden(opened, samples, manifest)
    return {**networks, GOLDEN_INPUTS: inputs, GOLDEN_OUTPUTS: outputs, CARD: card.encode()}


def _made_at(run: Run, manifest: Manifest, files: Mapping[str, bytes]) -> datetime:
    """Return when a bundle of this content was built first: the run notes it, so that built again it is the same."""
    content = content_of(manifest, files)
    noted = run.read_json(MADE) if run.has(MADE) else {}
    if content not in noted:
        noted = {**noted, content: manifest.created_at.isoformat()}
        run.write_json(MADE, noted)
    try:
        return datetime.fromisoformat(noted[content])
    except (TypeError, ValueError) as error:
        raise OperatorError(
            f"{run.path(MADE)}: expected the time of a build, got {noted[content]!r}; remove it"
        ) from error
