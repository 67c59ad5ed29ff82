"""RUN/locator-samples.npz: pictures that a run's locator is tested with on the device, and where the locator came from.

A run of simulated data has them in data.npz; a locator from labelled frames or from another place brings its own.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import CENTRES, GOLDEN_INPUTS, PARTS
from edge.errors import OperatorError
from training.bundle.trusted import open_trusted
from training.run import CENTRES_SPEC, DATA, LOCATOR_SAMPLES, PARTS_SPEC, Run
from training.simulated.dataset import open_data

SAMPLES = 3
SIMULATED_ORIGIN = "trained on simulated cages of this run"
Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class LocatorSamples:
    """Views uint8 (n, h, w, c) and crops uint8 (n, s, s, c) as both stages take them; origin: one line for the card."""

    views: Pictures
    crops: Pictures
    origin: str

    def save(self, run: Run) -> None:
        """Write RUN/locator-samples.npz, the first three of each."""
        with run.writing(LOCATOR_SAMPLES) as half:
            np.savez(half, views=self.views[:SAMPLES], crops=self.crops[:SAMPLES], origin=np.array(self.origin))


def locator_samples(run: Run) -> LocatorSamples:
    """Return the golden pictures of the run's locator.

    Raises:
        OperatorError: a file of the locator is missing, there are no pictures for it, or they do not fit it.
    """
    for name in (CENTRES, CENTRES_SPEC, PARTS, PARTS_SPEC):
        if not run.has(name):
            raise OperatorError(
                f"{run.path(name)}: a bundle needs a locator and there is none; train one (`cageclock-train locator "
                f"--dlc PROJECT --out {run}`, or `--out {run}` on simulated data) or take one over with "
                "`bundle --locator RUN_OR_BUNDLE`"
            )
    if run.has(LOCATOR_SAMPLES):
        found = _load(run.path(LOCATOR_SAMPLES))
    elif run.has(DATA):
        data = open_data(run)
        found = LocatorSamples(data.views[:SAMPLES], data.parts[:SAMPLES], SIMULATED_ORIGIN)
    else:
        raise OperatorError(
            f"{run.path(LOCATOR_SAMPLES)}: a bundle is tested on the device with pictures that its locator takes, and "
            "there are none; copy the file from the run that the locator comes from, or name that run or bundle with "
            "`bundle --locator`"
        )
    centres, parts = run.centres()[1], run.parts()[1]
    _check_shape(run, "views", found.views, (centres.height, centres.width, centres.channels))
    _check_shape(run, "crops", found.crops, (parts.size, parts.size, parts.channels))
    return found


def take_locator(run: Run, source: Path) -> None:
    """Copy the locator of another run (a folder) or of a bundle (its public key beside it as .pub) into the run.

    Raises:
        OperatorError: there is none, or the run has another locator already.
        BundleError: the bundle must not be used.
    """
    if source.is_dir():
        other = Run(source)
        samples = locator_samples(other)
        stages = other.centres(), other.parts()
        cut_by = other.cut_by(CENTRES), other.cut_by(PARTS)
        origin = samples.origin.replace("of this run", f"of the run {source.resolve().name}")
        samples = LocatorSamples(samples.views, samples.crops, origin)
    else:
        bundle = open_trusted(source, source.with_suffix(".pub"))
        stages = (bundle.files[CENTRES], bundle.manifest.centres), (bundle.files[PARTS], bundle.manifest.parts)
        samples = _of_bundle(bundle)
        cut_by = ((bundle.manifest.preprocess_version,),) * 2
    for name, (content, _) in zip((CENTRES, PARTS), stages, strict=True):
        if run.has(name) and run.read_bytes(name) != content:
            raise OperatorError(
                f"{run.path(name)}: the run has another locator than {source}; leave --locator out to pack the run's "
                "own, or move its centres.* and parts.* away"
            )
    if source.resolve() != run.folder.resolve():
        samples.save(run)
        run.save_stage(*stages[0], cut_by[0])
        run.save_stage(*stages[1], cut_by[1])


def age_samples(crops: Pictures, test: NDArray[np.bool_]) -> Pictures:
    """Return three crops spread over the test animals' rows."""
    chosen = np.flatnonzero(test)
    found: Pictures = crops[chosen[:: max(1, len(chosen) // SAMPLES)][:SAMPLES]]
    return found


def _of_bundle(bundle: Bundle) -> LocatorSamples:
    with np.load(io.BytesIO(bundle.files[GOLDEN_INPUTS]), allow_pickle=False) as golden:
        manifest = bundle.manifest
        origin = f"taken from the bundle {manifest.name} {manifest.model_version} ({manifest.notice})"
        return LocatorSamples(golden["centres"], golden["parts"], origin)


def _load(path: Path) -> LocatorSamples:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return LocatorSamples(arrays["views"], arrays["crops"], str(arrays["origin"]))
    except (ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise OperatorError(f"{path}: expected the pictures that `locator --dlc` writes, got {error}") from error


def _check_shape(run: Run, name: str, pictures: Pictures, expected: tuple[int, ...]) -> None:
    if pictures.dtype != np.uint8 or pictures.shape[1:] != expected or not len(pictures):
        raise OperatorError(
            f"{run}: {name} for the locator: expected uint8 pictures {expected}, got {pictures.dtype} "
            f"{pictures.shape[1:]} ({len(pictures)} of them); they belong to another locator than the run's"
        )
