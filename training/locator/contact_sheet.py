"""What a bundle finds in stored pictures: drawn on a contact sheet, and counted."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from edge.errors import OperatorError
from edge.footage.faults import Faults
from edge.vision.frame import Frame, Image
from edge.vision.observe import Observation
from training.bundle.trusted import open_trusted

_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#f0e442", "#0072b2")


def contact_sheet(options: argparse.Namespace, faults: Faults) -> dict[str, float]:
    """Draw what a bundle finds in evenly spaced pictures of a video or folder; return figures of all it looked at.

    faults: takes the pictures that cannot be read.
    """
    from edge.config.tree import Quality
    from edge.vision.model.loaded import load_model
    from edge.vision.observe import ObserveSettings, observe

    model = load_model(open_trusted(options.bundle, options.trust))
    settings = ObserveSettings(Quality(), 1, None, None)
    pictures = _pictures(options.source, max(options.frames, options.measured), faults)
    seen = [observe([_frame(picture, options.px_per_mm)], model, settings) for picture in pictures]
    step = len(pictures) / min(options.frames, len(pictures))
    drawn = [int(number * step) for number in range(min(options.frames, len(pictures)))]
    _draw(options.out, [pictures[index] for index in drawn], [seen[index] for index in drawn])
    return _figures_of(seen)


def _figures_of(seen: list[Observation]) -> dict[str, float]:
    """Return how many pictures showed an animal, with how many accepted ages, and the spread of the domain score."""
    animals = [animal for one in seen for animal in one.animals]
    scores = [animal.estimate.domain_score for animal in animals if animal.estimate is not None]
    figures = {
        "pictures": float(len(seen)),
        "pictures_with_an_animal": float(sum(bool(one.animals) for one in seen)),
        "pictures_with_one_animal": float(sum(len(one.animals) == 1 for one in seen)),
        "ages_given": float(sum(animal.accepted for animal in animals)),
    }
    for percent in (0, 5, 50, 95, 100) if scores else ():
        figures[f"domain_score_percentile_{percent}"] = float(np.percentile(scores, percent))
    for reason in sorted({reason.value for animal in animals for reason in animal.reject_reasons}):
        hits = sum(reason in [one.value for one in animal.reject_reasons] for animal in animals)
        figures[f"animals_{reason}"] = float(hits)
    return figures


def _draw(out: Path, pictures: list[Image], seen: list[Observation]) -> None:
    from PIL import Image as Pillow
    from PIL import ImageDraw

    columns = 4
    scale = 400 / pictures[0].shape[1]
    width, height = 400, round(pictures[0].shape[0] * scale)
    sheet = Pillow.new("RGB", (columns * width, -(-len(pictures) // columns) * (height + 16)), "white")
    for number, (picture, one) in enumerate(zip(pictures, seen, strict=True)):
        tile = Pillow.fromarray(picture).resize((width, height))
        pen = ImageDraw.Draw(tile)
        for animal in one.animals:
            pen.rectangle([value * scale for value in animal.box], outline="#ffffff")
            for index, point in enumerate(animal.keypoints):
                x, y = point.x * scale, point.y * scale
                pen.ellipse((x - 4, y - 4, x + 4, y + 4), outline="black", fill=_COLOURS[index % len(_COLOURS)])
        x, y = number % columns * width, number // columns * (height + 16)
        sheet.paste(tile, (x, y + 16))
        reasons = ", ".join(reason.value for animal in one.animals for reason in animal.reject_reasons)
        age = "no age" if one.age_days is None else f"{one.age_days / 7:.0f} wk"
        ImageDraw.Draw(sheet).text((x + 3, y + 2), f"{one.outcome.value}: {age}  {reasons}", fill="black")
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out)


def _frame(picture: Image, px_per_mm: float | None) -> Frame:
    from edge.contract.reading import CameraState

    height, width = picture.shape[:2]
    state = CameraState(backend="file", model="file", width=width, height=height)
    return Frame(picture, 0.0, 0.0, state, px_per_mm)


def _pictures(source: Path, count: int, faults: Faults) -> list[Image]:
    """Return up to `count` evenly spaced pictures of a folder or video, uint8 RGB, without those that show nothing.

    Raises:
        OperatorError: there are none.
    """
    from training.locator.active_learning import pictures

    found = [picture for _, _, picture in pictures(source, count, faults=faults)]
    if not found:
        raise OperatorError(f"{source}: expected pictures, found none that can be read")
    return found
