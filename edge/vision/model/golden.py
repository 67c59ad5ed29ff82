"""Golden inputs: what each network of a bundle must answer, within a few quantisation steps, and the head after it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.contract import jsontext
from edge.contract.base import Struct
from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import GOLDEN_INPUTS, GOLDEN_OUTPUTS, Manifest
from edge.errors import BundleError, MessageError
from edge.vision.model.head_check import GoldenEstimate, check_head, dequantised, golden_estimate
from edge.vision.model.loaded import LoadedModel, Runs, assemble_model, check_manifest

NAMES = ("centres", "parts", "age")
TOLERANCE_QUANTA = 6
"""x86 and ARM kernels differ by a few quantisation steps; a wrong network differs by tens."""
MOST_INPUTS = 64
_MOST_BYTES = 64_000_000
"""Unpacked; the part itself is capped at 4 MB, which deflate could blow up a thousandfold."""
_UNREADABLE = (MessageError, ValueError, KeyError, OSError, EOFError, MemoryError, zipfile.BadZipFile)
Int8 = Annotated[int, msgspec.Meta(ge=-128, le=127)]
Answers = Annotated[list[list[Int8]], msgspec.Meta(min_length=1, max_length=MOST_INPUTS)]


class GoldenOutputs(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Per network, the int8 outputs of its golden inputs, flattened; what the head makes of those of `age`.

    At most `allowed_share` may differ by more than tolerance. estimates: one a golden input of `age`; bundles made
    before there was such a thing have none, and their heads need only give proper numbers.
    """

    tolerance_quanta: Annotated[int, msgspec.Meta(ge=0, le=2 * TOLERANCE_QUANTA)]
    allowed_share: Annotated[float, msgspec.Meta(ge=0.0, le=0.05)]
    outputs: dict[str, Answers]
    estimates: tuple[GoldenEstimate, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Both golden parts of a bundle. inputs: uint8 (n, h, w, c) by network, n at least 1."""

    expected: GoldenOutputs
    inputs: Mapping[str, NDArray[np.uint8]]


def make_golden(
    networks: Mapping[str, Runs], inputs: Mapping[str, NDArray[np.uint8]], manifest: Manifest | None = None
) -> tuple[bytes, bytes]:
    """Return the two parts of the bundle: inputs (npz, uint8 (n, h, w, c) a network) and outputs (JSON).

    manifest: with it the outputs also hold the head's estimates from the age network's.

    Raises:
        BundleError: the manifest contradicts itself.
    """
    out = io.BytesIO()
    np.savez_compressed(out, **inputs)  # type: ignore[arg-type]
    outputs = {name: [networks[name].run_raw(pixels).ravel().tolist() for pixels in inputs[name]] for name in NAMES}
    estimates: tuple[GoldenEstimate, ...] = ()
    if manifest is not None:
        check_manifest(manifest)
        model = assemble_model(manifest, networks, "")
        estimates = tuple(golden_estimate(dequantised(one, model), model) for one in outputs["age"])
    golden = GoldenOutputs(tolerance_quanta=TOLERANCE_QUANTA, allowed_share=0.01, outputs=outputs, estimates=estimates)
    return out.getvalue(), jsontext.encode(golden)


def check_golden(model: LoadedModel, bundle: Bundle) -> list[str]:
    """Return one sentence for each golden input whose answer is wrong; empty means well.

    The head is run on the expected outputs, on those that were found, and on the extremes of int8.

    Raises:
        BundleError: the golden parts cannot be read, or do not fit the manifest.
    """
    golden = read_golden(bundle)
    expected, failures, found_ages = golden.expected, [], []
    for name in NAMES:
        for number, (pixels, right) in enumerate(zip(golden.inputs[name], expected.outputs[name], strict=True)):
            found = network_of(model, name).run_raw(pixels).ravel().astype(np.int16)
            if found.size != len(right):
                failures.append(f"{name}: golden input {number}: expected {len(right)} outputs, got {found.size}")
                continue
            share = float((np.abs(found - np.array(right, np.int16)) > expected.tolerance_quanta).mean())
            if share > expected.allowed_share:
                failures.append(
                    f"{name}: golden input {number}: {share:.1%} of the output differs by more than "
                    f"{expected.tolerance_quanta} steps, at most {expected.allowed_share:.1%} allowed"
                )
            if name == "age":
                found_ages.append(found)
    if failures:
        return failures
    return check_head(model, expected.outputs["age"], expected.estimates, found_ages)


def network_of(model: LoadedModel, name: str) -> Runs:
    """Return one of the model's networks by its name."""
    return {"centres": model.centres, "parts": model.parts, "age": model.age}[name]


def read_golden(bundle: Bundle) -> Golden:
    """Return the golden parts; at least one input a network, of the shape that the manifest names.

    Raises:
        BundleError: they cannot be read, or do not fit the manifest.
    """
    try:
        expected = jsontext.decode(bundle.files[GOLDEN_OUTPUTS], GoldenOutputs)
        inputs = _read_inputs(bundle.files[GOLDEN_INPUTS])
    except _UNREADABLE as error:
        raise BundleError(f"golden inputs: cannot be read: {error}") from error
    if sorted(expected.outputs) != sorted(NAMES):
        got = ", ".join(sorted(expected.outputs))[:100] or "none"
        raise BundleError(f"golden.json: outputs: expected those of {', '.join(NAMES)}, got {got}")
    manifest = bundle.manifest
    for name, spec in (("centres", manifest.centres), ("parts", manifest.parts), ("age", manifest.age)):
        pixels, answers = inputs[name], expected.outputs[name]
        if pixels.dtype != np.uint8 or pixels.shape[1:] != spec.input.shape[1:]:
            wanted = f"uint8 (n, {', '.join(map(str, spec.input.shape[1:]))})"
            raise BundleError(f"golden.npz: {name}: expected {wanted}, got {pixels.dtype} {pixels.shape}")
        if not 1 <= len(pixels) == len(answers):
            text = f"expected as many inputs as outputs, at least one, got {len(pixels)} and {len(answers)}"
            raise BundleError(f"golden.npz: {name}: {text}")
    if expected.estimates and len(expected.estimates) != len(inputs["age"]):
        text = f"expected {len(inputs['age'])}, one for each input of age, got {len(expected.estimates)}"
        raise BundleError(f"golden.json: estimates: {text}")
    return Golden(expected, inputs)


def _read_inputs(content: bytes) -> dict[str, NDArray[np.uint8]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > _MOST_BYTES:
            raise ValueError(f"golden.npz: expected at most {_MOST_BYTES} bytes unpacked, got {unpacked}")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in NAMES}
