"""Real footage: a locator from a DeepLabCut project, in a bundle beside the demo's age model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.contract.bundle.bundle import Bundle, read_bundle
from edge.contract.manifest import CENTRES, PARTS, Centres, Parts
from edge.errors import OperatorError
from training.deeplabcut.frames import LocatorData
from training.networks.checkpoint import fingerprint

DEMO = Path(__file__).parents[2] / "edge/demo/bundle"
HELD_OUT_EVERY = 5
"""Each fifth labelled frame is held out, for the figures; the locator never sees it."""


def train_on_project(options: argparse.Namespace) -> dict[str, float]:
    """Train both stages on the project, pack them with an age model, and return the figures on held-out frames."""
    from training.bundle.pack import Label, load_struct, repack, signing_key
    from training.card.locator_card import locator_card
    from training.deeplabcut.frames import cut_project, scale_of
    from training.deeplabcut.read import learnable, read_project
    from training.locator.centre_threshold import with_threshold
    from training.locator.fit import centre_scores, part_errors, save_stage, with_likelihood
    from training.locator.golden_inputs import LocatorSamples
    from training.locator.mix_simulated import joined_parts, with_parts
    from training.networks.int8 import import_backend
    from training.networks.shapes import KEYPOINTS, centres_spec, parts_spec

    run: Path = options.out
    source = _age_source(options.age_from)
    project = learnable(read_project(options.dlc))
    for text in project.warnings:
        print(f"warning: {text}", file=sys.stderr)
    scale = scale_of(project)
    keypoints = joined_parts(project.keypoints, KEYPOINTS) if options.data else project.keypoints
    specs = centres_spec(), parts_spec(keypoints, options.px_per_mm / scale)
    data = with_parts(cut_project(project, *specs, scale), project.keypoints, keypoints)
    held_view = np.arange(len(data.views)) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    held_crop = held_view[data.frame]
    if not held_crop.any() or held_crop.all():
        raise OperatorError(f"{options.dlc}: expected at least {HELD_OUT_EVERY} labelled frames, got {len(data.views)}")
    if options.again or not (run / PARTS).exists() or not (run / CENTRES).exists():
        import_backend()
        _train(options, data, held_view, specs)
    content, crops, points = (run / PARTS).read_bytes(), data.crops[held_crop], data.keypoints[held_crop]
    spec = load_struct(run / "parts.json", Parts)
    if spec.keypoints != keypoints:
        raise OperatorError(
            f"{run / 'parts.json'}: expected a locator of {', '.join(keypoints)}, got {', '.join(spec.keypoints)}; "
            "train with --again, or into another folder"
        )
    # Both are fitted on the held-out frames. No error below depends on the likelihood, and the calibration that
    # `locator-report` states is fitted on the other folds; the threshold can flatter recall and precision of centres.
    spec = with_likelihood(content, spec, crops, points)
    save_stage(run, "parts", content, spec)
    views, middles = data.views[held_view], data.centres[held_view]
    first = (run / CENTRES).read_bytes()
    first_spec = load_struct(run / "centres.json", Centres)
    first_spec = with_threshold(first, first_spec, views, middles, data.reach[held_view])
    save_stage(run, "centres", first, first_spec)
    errors = part_errors(content, spec, crops, points)[0] * scale
    known = [index for index in range(len(keypoints)) if not np.isnan(errors[:, index]).all()]
    figures = {
        "held_out_frames": float(held_view.sum()),
        "mean_error_px": float(np.nanmean(errors)),
        "median_error_px": float(np.nanmedian(errors)),
        "root_mean_square_px": float(np.sqrt(np.nanmean(errors**2))),
        **{f"mean_error_px_{keypoints[index]}": float(np.nanmean(errors[:, index])) for index in known},
        "centre_threshold": first_spec.threshold,
        **centre_scores(first, first_spec, views, middles),
    }
    if scale != 1:
        figures["picture_px_per_crop_px"] = scale
        print("the animals are too large or too small for native pixels: give the device camera.px_per_mm")
    (run / "locator-report.json").write_text(json.dumps(figures, indent=1) + "\n")
    label = Label("own-locator", "0.1.0", 1, source.manifest.notice, "own")
    with np.load(_as_file(source)) as golden:
        age_samples = golden["age"]
    samples = {"centres": data.views[:3], "parts": data.crops[:3], "age": age_samples}
    LocatorSamples(data.views, data.crops, f"trained on the labelled frames of {options.dlc.resolve().name}").save(run)
    card = locator_card(label, source, figures, options.dlc.resolve(), len(data.crops))
    key = options.key or run / "key.pem"
    repack(source, run, run / "own-locator.bundle", label, samples, card, signing_key(key))
    print(f"{run / 'own-locator.bundle'}; trust it with bundle.trusted_keys: [{key.with_suffix('.pub')}]")
    return figures


def _train(
    options: argparse.Namespace, data: LocatorData, held: NDArray[np.bool_], specs: tuple[Centres, Parts]
) -> None:
    """Train both stages on the frames that are not held out, beside simulated ones where --data names them."""
    from training.locator.fit import Kept, fit_centres, fit_parts, save_stage
    from training.locator.mix_simulated import Lessons, with_simulated
    from training.networks.shapes import KEYPOINTS
    from training.networks.training_loop import Recipe
    from training.steps.all import open_data

    seen = ~held[data.frame]
    lessons = Lessons(data.views[~held], data.centres[~held], data.wide[seen], data.wide_keypoints[seen])
    if options.data:
        lessons = with_simulated(lessons, specs[1].keypoints, open_data(options.data), KEYPOINTS, options.seed)
    kept = Kept(options.out, options.resume, options.checkpoint_every)
    recipes = Recipe(options.centre_steps or 800, 16), Recipe(options.steps or 2500, 16)
    done = options.out / "centres.done"
    # Without this mark, an interrupted second stage would train the first one again.
    wanted = fingerprint(lessons.views, lessons.centres, recipes[0], options.seed)
    if not (options.resume and done.exists() and done.read_text() == wanted and (options.out / CENTRES).exists()):
        first = fit_centres(lessons.views, lessons.centres, specs[0], recipes[0], options.seed, kept)
        save_stage(options.out, "centres", first.content, first.spec)
        done.write_text(wanted)
    second = fit_parts(lessons.wide, lessons.keypoints, specs[1], recipes[1], options.seed, kept)
    save_stage(options.out, "parts", second.content, second.spec)


def _age_source(path: Path | None) -> Bundle:
    bundle = path or DEMO / "demo.bundle"
    key = path.with_suffix(".pub") if path is not None else DEMO / "demo.pub"
    return open_trusted(bundle, key)


def open_trusted(bundle: Path, key: Path) -> Bundle:
    """Return a bundle that this public key signed.

    Raises:
        OperatorError: there is no such bundle, or no such key.
        BundleError: the bundle must not be used.
    """
    if not bundle.is_file():
        raise OperatorError(f"{bundle}: expected a bundle, there is none")
    if not key.is_file():
        raise OperatorError(f"{key}: expected the bundle's public key (PEM), there is none")
    return read_bundle(bundle, [key.read_bytes()])


def _as_file(bundle: Bundle):  # type: ignore[no-untyped-def]
    import io

    from edge.contract.manifest import GOLDEN_INPUTS

    return io.BytesIO(bundle.files[GOLDEN_INPUTS])
