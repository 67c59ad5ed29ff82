"""Golden inputs: what each network of a bundle must answer, within a few quantisation steps."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edge.contract import jsontext
from edge.contract.base import Struct
from edge.contract.manifest import GOLDEN_INPUTS, GOLDEN_OUTPUTS
from edge.errors import BundleError, MessageError
from edge.model.bundle import Bundle
from edge.model.loaded import LoadedModel, Runs

NAMES = ("centres", "parts", "age")
TOLERANCE_QUANTA = 6
"""x86 and ARM kernels differ by a few quantisation steps; a wrong network differs by tens."""


class GoldenOutputs(Struct, frozen=True, kw_only=True):
    """Per network, the int8 outputs of its golden inputs, flattened.

    At most `allowed_share` may differ by more than tolerance.
    """

    tolerance_quanta: int
    allowed_share: float
    outputs: dict[str, list[list[int]]]


def make_golden(networks: Mapping[str, Runs], inputs: Mapping[str, NDArray[np.uint8]]) -> tuple[bytes, bytes]:
    """Return the two parts of the bundle: inputs (npz, uint8 (n, h, w, c) a network) and outputs (JSON)."""
    out = io.BytesIO()
    np.savez_compressed(out, **inputs)  # type: ignore[arg-type]
    outputs = {name: [networks[name].run_raw(pixels).ravel().tolist() for pixels in inputs[name]] for name in NAMES}
    golden = GoldenOutputs(tolerance_quanta=TOLERANCE_QUANTA, allowed_share=0.01, outputs=outputs)
    return out.getvalue(), jsontext.encode(golden)


def check_golden(model: LoadedModel, bundle: Bundle) -> list[str]:
    """Return one sentence for each golden input whose answer is wrong; empty means well.

    Raises:
        BundleError: the golden parts cannot be read.
    """
    try:
        golden = jsontext.decode(bundle.files[GOLDEN_OUTPUTS], GoldenOutputs)
        with np.load(io.BytesIO(bundle.files[GOLDEN_INPUTS]), allow_pickle=False) as inputs:
            pixels = {name: inputs[name] for name in NAMES}
    except (MessageError, ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"golden inputs: cannot be read: {error}") from error
    networks = {"centres": model.centres, "parts": model.parts, "age": model.age}
    failures = []
    for name in NAMES:
        for number, (one, expected) in enumerate(zip(pixels[name], golden.outputs[name], strict=True)):
            found = networks[name].run_raw(one).ravel().astype(np.int16)
            differences = np.abs(found - np.array(expected, np.int16))
            share = float((differences > golden.tolerance_quanta).mean())
            if share > golden.allowed_share:
                failures.append(
                    f"{name}: golden input {number}: {share:.1%} of the output differs by more than "
                    f"{golden.tolerance_quanta} steps, at most {golden.allowed_share:.1%} allowed"
                )
    return failures
