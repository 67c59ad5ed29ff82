"""Real footage: a locator from a DeepLabCut project, in a bundle beside the demo's age model; what it finds, drawn."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from edge.contract.manifest import CENTRES, PARTS, Manifest
from edge.errors import OperatorError
from edge.frame import Frame, Image
from edge.model.bundle import Bundle, read_bundle
from edge.preprocess import small_view

DEMO = Path(__file__).parents[1] / "edge/demo/bundle"
HELD_OUT_EVERY = 5
"""Each fifth labelled frame is held out, for the figures; the locator never sees it."""


def train_on_project(options: argparse.Namespace) -> dict[str, float]:
    """Train both stages on the project, pack them with an age model, and return the figures on held-out frames."""
    from training.dlc import read_project
    from training.fitting import Recipe
    from training.geometry import centres_spec, parts_spec
    from training.labelled import cut_project
    from training.locator import centre_scores, fit_centres, fit_parts, part_errors, save_stage
    from training.pack import Label, repack, signing_key
    from training.quantise import import_backend

    run: Path = options.out
    project = read_project(options.dlc)
    specs = centres_spec(), parts_spec(project.keypoints, options.px_per_mm)
    data = cut_project(project, *specs)
    held_view = np.arange(len(data.views)) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
    held_crop = held_view[data.frame]
    if not held_crop.any() or held_crop.all():
        raise OperatorError(f"{options.dlc}: expected at least {HELD_OUT_EVERY} labelled frames, got {len(data.views)}")
    if options.again or not (run / PARTS).exists():
        import_backend()
        first = fit_centres(
            data.views[~held_view],
            data.centres[~held_view],
            specs[0],
            Recipe(options.centre_steps or 800, 16),
            options.seed,
        )
        save_stage(run, "centres", first.content, first.spec)
        second = fit_parts(
            data.crops[~held_crop],
            data.keypoints[~held_crop],
            specs[1],
            Recipe(options.steps or 2500, 16),
            options.seed,
        )
        save_stage(run, "parts", second.content, second.spec)
    errors, _ = part_errors((run / PARTS).read_bytes(), specs[1], data.crops[held_crop], data.keypoints[held_crop])
    figures = {
        "held_out_frames": float(held_view.sum()),
        "mean_error_px": float(np.nanmean(errors)),
        "median_error_px": float(np.nanmedian(errors)),
        "root_mean_square_px": float(np.sqrt(np.nanmean(errors**2))),
        **{f"mean_error_px_{name}": float(np.nanmean(errors[:, i])) for i, name in enumerate(project.keypoints)},
        **centre_scores((run / CENTRES).read_bytes(), specs[0], data.views[held_view], data.centres[held_view]),
    }
    (run / "locator-report.json").write_text(json.dumps(figures, indent=1) + "\n")
    source = _age_source(options.age_from)
    label = Label("own-locator", "0.1.0", 1, source.manifest.notice, "own")
    with np.load(_as_file(source)) as golden:
        age_samples = golden["age"]
    samples = {"centres": data.views[:3], "parts": data.crops[:3], "age": age_samples}
    card = _card(source.manifest, figures, options.dlc)
    key = options.key or run / "key.pem"
    repack(source, run, run / "own-locator.bundle", label, samples, card, signing_key(key))
    print(f"{run / 'own-locator.bundle'}; trust it with bundle.trusted_keys: [{key.with_suffix('.pub')}]")
    return figures


def contact_sheet(options: argparse.Namespace) -> Path:
    """Draw what a bundle finds in evenly spaced pictures of a video or folder; return the PNG's path."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    from edge.config.tree import Quality
    from edge.model.loaded import load_model
    from edge.observe import ObserveSettings, observe

    model = load_model(read_bundle(options.bundle, [options.trust.read_bytes()]))
    settings = ObserveSettings(Quality(), 1, None, None)
    pictures = _pictures(options.source, options.frames)
    columns = 4
    height, width = pictures[0].shape[:2]
    scale = 400 / width
    tile = (400, round(height * scale) + 16)
    sheet = Pillow.new("RGB", (columns * tile[0], -(-len(pictures) // columns) * tile[1]), "white")
    colours = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#f0e442", "#0072b2")
    for number, picture in enumerate(pictures):
        seen = observe([_frame(picture, options.px_per_mm)], model, settings)
        drawn = Pillow.fromarray(picture).resize((tile[0], tile[1] - 16))
        pen = ImageDraw.Draw(drawn)
        for animal in seen.animals:
            pen.rectangle([value * scale for value in animal.box], outline="#ffffff")
            for index, point in enumerate(animal.keypoints):
                x, y = point.x * scale, point.y * scale
                pen.ellipse((x - 4, y - 4, x + 4, y + 4), outline="black", fill=colours[index % len(colours)])
        reasons = ", ".join(reason.value for animal in seen.animals for reason in animal.reject_reasons)
        at = (number % columns * tile[0], number // columns * tile[1])
        sheet.paste(drawn, (at[0], at[1] + 16))
        age = "no age" if seen.age_days is None else f"{seen.age_days / 7:.0f} wk"
        ImageDraw.Draw(sheet).text((at[0] + 3, at[1] + 2), f"{seen.outcome.value}: {age}  {reasons}", fill="black")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(options.out)
    path: Path = options.out
    return path


def _frame(picture: Image, px_per_mm: float | None) -> Frame:
    from edge.contract.reading import CameraState

    height, width = picture.shape[:2]
    state = CameraState(backend="file", model="file", width=width, height=height)
    return Frame(picture, small_view(picture, 320), 0.0, 0.0, state, px_per_mm)


def _pictures(source: Path, count: int) -> list[Image]:
    """Return `count` evenly spaced pictures of a folder or video, uint8 RGB.

    Raises:
        OperatorError: there are none.
    """
    from edge.image import read_image

    if source.is_dir():
        paths = sorted(path for path in source.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
        found = [read_image(path) for path in paths[:: max(1, len(paths) // count)][:count]]
    else:
        import av

        try:
            with av.open(str(source)) as container:
                total = container.streams.video[0].frames or 1000
                step = max(1, total // count)
                found = [
                    frame.to_ndarray(format="rgb24")
                    for index, frame in enumerate(container.decode(video=0))
                    if index % step == step // 2
                ][:count]
        except (av.error.FFmpegError, IndexError) as error:
            raise OperatorError(f"{source}: expected a folder of images or a video, got {error}") from error
    if not found:
        raise OperatorError(f"{source}: expected pictures, found none")
    return found


def _age_source(path: Path | None) -> Bundle:
    bundle = path or DEMO / "demo.bundle"
    key = path.with_suffix(".pub") if path is not None else DEMO / "demo.pub"
    if not key.exists():
        raise OperatorError(f"{key}: expected the bundle's public key beside it, there is none")
    return read_bundle(bundle, [key.read_bytes()])


def _as_file(bundle: Bundle):  # type: ignore[no-untyped-def]
    import io

    from edge.contract.manifest import GOLDEN_INPUTS

    return io.BytesIO(bundle.files[GOLDEN_INPUTS])


def _card(manifest: Manifest, figures: dict[str, float], project: Path) -> str:
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in figures.items())
    return (
        f"# own-locator\n\nLocator trained on the labelled frames of {project.name}; age model of {manifest.name} "
        f"{manifest.model_version}.\n\n**{manifest.notice}**\n\n| figure (held-out frames) | value |\n"
        f"| --- | ---: |\n{rows}\n"
    )
