"""`cageclock locate`: body parts of pictures into a DeepLabCut CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from edge.errors import OperatorError
from edge.locating import deeplabcut_csv, locate_picture
from edge.model.bundle import read_bundle
from edge.model.keys import read_trusted_keys
from edge.model.loaded import load_model


class Options(Protocol):
    """The command line: key None trusts the demo bundle's key only."""

    images: list[Path]
    bundle: Path
    key: list[Path] | None
    px_per_mm: float | None
    dlc_csv: Path


def run(options: Options) -> int:
    """Write the CSV and return the exit code 0.

    Raises:
        BundleError: the bundle must not be used.
        OperatorError: an image, a key or the CSV cannot be read or written, or the scale is not above 0.
    """
    if options.px_per_mm is not None and not 0 < options.px_per_mm < 1000:
        raise OperatorError(f"--px-per-mm: expected a number above 0 and below 1000, got {options.px_per_mm:g}")
    model = load_model(read_bundle(options.bundle, read_trusted_keys(options.key)))
    found = [(str(path), locate_picture(path, model, options.px_per_mm)) for path in options.images]
    scorer = f"cageclock_{model.manifest.name}_{model.sha256[:12]}"
    try:
        options.dlc_csv.write_text(deeplabcut_csv(found, model.manifest.parts.keypoints, scorer), encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"{options.dlc_csv}: cannot write the CSV: {error.strerror}") from error
    with_animal = sum(bool(keypoints) for _, keypoints in found)
    print(f"{options.dlc_csv}: an animal in {with_animal} of {len(found)} pictures")
    return 0
