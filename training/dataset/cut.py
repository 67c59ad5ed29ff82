"""Pictures of a dataset to aligned crops, cut by the device's own code; the rest is listed with its reason."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd

from edge.contract.manifest import PREPROCESS_VERSION, PREPROCESS_VERSIONS
from edge.errors import CageclockError, OperatorError, UnreadablePicture
from edge.footage.picture import read_image
from edge.host.progress import progress
from edge.vision.acceptance import CURLED_BELOW_MM
from edge.vision.frame import Frame, Image
from edge.vision.model.loaded import LoadedModel
from edge.vision.preprocess import PARTIAL_BELOW, age_input
from edge.vision.views import Views, alike, views_of
from training.crops.table import COLUMNS, Crops, complete
from training.dataset.finding import Finding
from training.dataset.flat import flat_level, flat_text
from training.dataset.scale import LONGEST_MM
from training.dataset.table import ITEM, read_animals
from training.networks.shapes import age_spec

Points = tuple[float, float, float, float]
"""Snout x, y and tail base x, y, pixels of the picture."""
UNREADABLE = "unreadable"
"""Severity of a picture that cannot be read; what is seen on it and gives no crop is "not usable"."""
LENGTH = "body_length_mm"
"""Column of the crops' table: the report asks how well size alone tells the age. Empty where crops came ready."""


class Unusable(Exception):
    """Why one picture gives no crop; an expected outcome, listed and passed over."""


def cut_dataset(
    dataset: Path, bundle: Path | None, trust: Path | None, *, px_per_mm: float | None = None, ready: bool = False
) -> tuple[Crops, list[Finding], tuple[str, ...]]:
    """Return the dataset's crops, what was not usable, by line of the table, and the versions that cut such crops.

    They are cut by the version of the preprocessing that the bundle names, whose locator finds the animals; by the
    newest where there is none.

    px_per_mm: for lines that give none. ready: the pictures are crops already.

    Raises:
        OperatorError: the table has errors (run `check`), or a locator is needed and none is given.
        BundleError: the bundle cannot be trusted.
    """
    table, findings = read_animals(dataset)
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise OperatorError(
            f"{dataset}: {errors[0]} (and {len(errors) - 1} more errors); `cageclock-train check {dataset}` lists all"
        )
    model = _open(bundle, trust) if bundle is not None else None
    shared = table.groupby("picture").subject.transform("nunique")
    version = PREPROCESS_VERSION if model is None else model.manifest.preprocess_version
    cut_by = set(PREPROCESS_VERSIONS)
    pixels, rows, unusable, lengths = [], [], [], []
    for line, row in progress(list(table.iterrows()), len(table), "crops"):
        try:
            picture = read_image(dataset / str(row.picture))
            level = flat_level(picture)
            if level is not None:
                raise Unusable(flat_text(level))
            if ready:
                pixels.append(_ready(picture))
                lengths.append(np.nan)
            else:
                scale = row.get("px_per_mm", np.nan)
                scale = float(scale) if pd.notna(scale) else px_per_mm
                crop, length_mm = _cut(views_of(picture, version), row, scale, model, several=shared[line] > 1)
                pixels.append(crop)
                lengths.append(length_mm)
                cut_by &= set(alike(version, picture.shape[1]))
            rows.append(line)
        except (Unusable, CageclockError) as error:
            severity = UNREADABLE if isinstance(error, UnreadablePicture) else "not usable"
            unusable.append(Finding(int(line), "picture", f"{row.picture}: {error}", severity))
    kept = [name for name in table if name in COLUMNS or name.startswith(ITEM)]
    spec = age_spec()
    stacked = np.stack(pixels) if pixels else np.zeros((0, spec.height, spec.width, 1), np.uint8)
    crops = Crops(stacked, complete(table.loc[rows, kept].assign(**{LENGTH: np.round(lengths, 2)})))
    return crops, unusable, tuple(one for one in PREPROCESS_VERSIONS if one in cut_by)


def _open(bundle: Path, trust: Path | None) -> LoadedModel:
    from edge.vision.model.loaded import load_model
    from training.bundle.trusted import open_trusted

    if trust is None:
        raise OperatorError("--bundle needs --trust, the bundle's public key (PEM)")
    return load_model(open_trusted(bundle, trust))


def _ready(picture: Image) -> Image:
    from PIL import Image as Pillow

    spec = age_spec()
    if picture.shape[:2] != (spec.height, spec.width):
        got = f"{picture.shape[1]} x {picture.shape[0]}"
        raise Unusable(f"expected a crop of {spec.width} x {spec.height} pixels, got {got}")
    return np.asarray(Pillow.fromarray(picture).convert("L"))[..., None]


def _cut(
    views: Views, row: pd.Series, scale: float | None, model: LoadedModel | None, *, several: bool
) -> tuple[Image, float]:
    """Return the crop, and how far snout and tail base are apart, mm."""
    if scale is None:
        raise Unusable("no scale: give px_per_mm in the table or --px-per-mm, for size is a sign of age")
    given = [row.get(name, np.nan) for name in ("snout_x", "snout_y", "tail_base_x", "tail_base_y")]
    if pd.notna(given).all():
        points: Points = (float(given[0]), float(given[1]), float(given[2]), float(given[3]))
    elif model is not None:
        points = _located(views.main, row, scale, model, several=several)
    else:
        raise Unusable("no snout and tail base in the table; give a --bundle whose locator finds them")
    length_mm = math.dist(points[:2], points[2:]) / scale
    if length_mm < CURLED_BELOW_MM:
        raise Unusable("curled: snout and tail base are less than 45 mm apart")
    if length_mm > LONGEST_MM:
        raise Unusable(f"snout and tail base are {length_mm:.0f} mm apart, no mouse is: the scale or a place is wrong")
    crop = age_input(views, points[:2], points[2:], scale, age_spec())
    if crop.is_partial:
        raise Unusable(f"partial: {crop.inside:.0%} of the crop lie within the picture, expected {PARTIAL_BELOW:.0%}")
    return crop.pixels, length_mm


def _located(picture: Image, row: pd.Series, scale: float, model: LoadedModel, *, several: bool) -> Points:
    """Return snout and tail base of the line's animal: the one in its box, or the only one in the picture."""
    from edge.contract.reading import CameraState
    from edge.vision.locate import find_animals
    from edge.vision.observe import without_phantoms

    height, width = picture.shape[:2]
    state = CameraState(backend="file", model="file", width=width, height=height)
    animals = find_animals(Frame(picture, 0.0, 0.0, state, scale), model, 6)
    least = model.manifest.parts.min_likelihood
    box = [row.get(name, np.nan) for name in ("x0", "y0", "x1", "y1")]
    if pd.notna(box).all():
        x0, y0, x1, y1 = map(float, box)
        animals = [one for one in animals if x0 <= one.centre[0] < x1 and y0 <= one.centre[1] < y1]
    elif several:
        raise Unusable("several animals are named for the picture; say which by a box or by snout and tail base")
    animals = without_phantoms(animals, 1, least)
    if not animals:
        raise Unusable("no animal found")
    if len(animals) > 1:
        raise Unusable(f"{len(animals)} animals found, and the line does not say which one it means")
    snout, tail_base = animals[0].part("snout"), animals[0].part("tail_base")
    if snout is None or tail_base is None or min(snout.likelihood, tail_base.likelihood) < least:
        raise Unusable("snout or tail base is not seen surely")
    return snout.x, snout.y, tail_base.x, tail_base.y
