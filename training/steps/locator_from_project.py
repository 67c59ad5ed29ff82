"""`locator --dlc`: a locator from a DeepLabCut project, in a bundle beside another bundle's age model."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import CENTRES, GOLDEN_INPUTS, PARTS, Centres, Parts
from edge.errors import OperatorError
from training.bundle.label import Label
from training.bundle.trusted import age_source
from training.deeplabcut.frames import LocatorData, cut_project, scale_of
from training.deeplabcut.read import Project, learnable, read_project
from training.locator.fit import Kept
from training.locator.golden_inputs import LocatorSamples
from training.locator.mix_simulated import Lessons, joined_parts, with_parts, with_simulated
from training.networks.checkpoint import fingerprint
from training.networks.shapes import KEYPOINTS, centres_spec, parts_spec
from training.networks.training_loop import Recipe
from training.run import Run
from training.simulated.dataset import open_data

HELD_OUT_EVERY = 5
"""Each fifth labelled frame is held out, for the figures; the locator never sees it."""
BUNDLE = "own-locator.bundle"
_FIRST_DONE = "centres.done"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be trained. px_per_mm: of the second stage's crops where the picture's scale is as drawn.

    simulated: a run whose simulated data are mixed in. steps, centre_steps: of the second and of the first stage.
    age_from: the bundle whose age model is packed in, None for the demo's. key: the signing key, made where missing.
    """

    project: Path
    simulated: Run | None
    px_per_mm: float
    steps: int
    centre_steps: int
    age_from: Path | None
    key: Path
    seed: int = 1
    again: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The project's cuts, in the parts' order that the locator learns. scale: picture pixels a crop pixel.

    held_view: bool (frames,), what the locator never sees; held_crop: bool (animals,), the same for its crops.
    """

    data: LocatorData
    scale: float
    specs: tuple[Centres, Parts]
    held_view: NDArray[np.bool_]

    @property
    def held_crop(self) -> NDArray[np.bool_]:
        """Which crops are of held-out frames."""
        return self.held_view[self.data.frame]


def train_on_project(run: Run, order: Order, kept: Kept) -> dict[str, float]:
    """Train both stages on the project, pack them with an age model, and return the figures on held-out frames.

    Raises:
        OperatorError: the project, the bundle or what the run holds cannot be used.
        BundleError: the bundle whose age model is wanted must not be used.
    """
    source = age_source(order.age_from)
    project = learnable(read_project(order.project))
    for text in project.warnings:
        print(f"warning: {text}", file=sys.stderr)
    prepared = _prepare(project, order, source.manifest.preprocess_version)
    if order.again or not run.has(PARTS, CENTRES):
        _train(run, order, kept, prepared)
    _calibrate(run, prepared)
    figures = _figures(run, prepared)
    run.write_json("locator-report.json", figures)
    _pack(run, order, source, prepared, figures)
    return figures


def _prepare(project: Project, order: Order, version: str) -> Prepared:
    """Return the frames as the device sees them; version: of the preprocessing, which the age model's bundle names."""
    scale = scale_of(project)
    keypoints = joined_parts(project.keypoints, KEYPOINTS) if order.simulated else project.keypoints
    specs = centres_spec(), parts_spec(keypoints, order.px_per_mm / scale)
    data = with_parts(cut_project(project, *specs, scale, version), project.keypoints, keypoints)
    held = np.arange(len(data.views)) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    prepared = Prepared(data, scale, specs, held)
    if not prepared.held_crop.any() or prepared.held_crop.all():
        raise OperatorError(
            f"{order.project}: expected at least {HELD_OUT_EVERY} labelled frames, got {len(data.views)}"
        )
    return prepared


def _train(run: Run, order: Order, kept: Kept, prepared: Prepared) -> None:
    """Train both stages on the frames that are not held out, beside simulated ones where they are wanted."""
    from training.locator.fit import fit_centres, fit_parts
    from training.networks.int8 import import_backend

    import_backend()
    data, specs, held = prepared.data, prepared.specs, prepared.held_view
    seen = ~prepared.held_crop
    lessons = Lessons(data.views[~held], data.centres[~held], data.wide[seen], data.wide_keypoints[seen])
    if order.simulated:
        lessons = with_simulated(lessons, specs[1].keypoints, open_data(order.simulated), KEYPOINTS, order.seed)
    recipes = Recipe(order.centre_steps, 16), Recipe(order.steps, 16)
    # Without this mark, an interrupted second stage would train the first one again.
    wanted = fingerprint(lessons.views, lessons.centres, recipes[0], order.seed).encode()
    if not (kept.resume and run.has(_FIRST_DONE, CENTRES) and run.read_bytes(_FIRST_DONE) == wanted):
        first = fit_centres(lessons.views, lessons.centres, specs[0], recipes[0], order.seed, kept)
        run.save_stage(first.content, first.spec, data.cut_by)
        run.write_bytes(_FIRST_DONE, wanted)
    second = fit_parts(lessons.wide, lessons.keypoints, specs[1], recipes[1], order.seed, kept)
    run.save_stage(second.content, second.spec, data.cut_by)


def _calibrate(run: Run, prepared: Prepared) -> None:
    """Fit likelihood and threshold on the held-out frames.

    No error depends on the likelihood, and the calibration that `locator-report` states is fitted on the other folds;
    the threshold can flatter recall and precision of centres.
    """
    from training.locator.centre_threshold import with_threshold
    from training.locator.fit import with_likelihood

    data, view, crop = prepared.data, prepared.held_view, prepared.held_crop
    (first, centres), (second, parts) = run.centres(), run.parts()
    wanted = prepared.specs[1].keypoints
    if parts.keypoints != wanted:
        raise OperatorError(
            f"{run}: expected a locator of {', '.join(wanted)}, got {', '.join(parts.keypoints)}; "
            "train with --again, or into another folder"
        )
    run.save_stage(second, with_likelihood(second, parts, data.crops[crop], data.keypoints[crop]))
    run.save_stage(first, with_threshold(first, centres, data.views[view], data.centres[view], data.reach[view]))


def _figures(run: Run, prepared: Prepared) -> dict[str, float]:
    from training.locator.fit import centre_scores, part_errors

    data, view, crop = prepared.data, prepared.held_view, prepared.held_crop
    (first, centres), (second, parts) = run.centres(), run.parts()
    errors = part_errors(second, parts, data.crops[crop], data.keypoints[crop])[0] * prepared.scale
    known = [index for index in range(len(parts.keypoints)) if not np.isnan(errors[:, index]).all()]
    figures = {
        "held_out_frames": float(view.sum()),
        "mean_error_px": float(np.nanmean(errors)),
        "median_error_px": float(np.nanmedian(errors)),
        "root_mean_square_px": float(np.sqrt(np.nanmean(errors**2))),
        **{f"mean_error_px_{parts.keypoints[index]}": float(np.nanmean(errors[:, index])) for index in known},
        "centre_threshold": centres.threshold,
        **centre_scores(first, centres, data.views[view], data.centres[view]),
    }
    if prepared.scale != 1:
        figures["picture_px_per_crop_px"] = prepared.scale
    return figures


def _pack(run: Run, order: Order, source: Bundle, prepared: Prepared, figures: dict[str, float]) -> None:
    from training.bundle.pack import repack, signing_key
    from training.card.locator_card import locator_card

    data, project = prepared.data, order.project.resolve()
    label = Label("own-locator", "0.1.0", 1, source.manifest.notice, "own")
    with np.load(io.BytesIO(source.files[GOLDEN_INPUTS]), allow_pickle=False) as golden:
        age_samples = golden["age"]
    samples = LocatorSamples(data.views, data.crops, f"trained on the labelled frames of {project.name}")
    samples.save(run)
    golden_inputs = {"centres": data.views[:3], "parts": data.crops[:3], "age": age_samples}
    card = locator_card(label, source, figures, project, len(data.crops))
    repack(source, run, run.path(BUNDLE), label, golden_inputs, card, signing_key(order.key))
