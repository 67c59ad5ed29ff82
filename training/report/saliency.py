"""Where does the network look? A grey patch is slid over the crop; what it changes is drawn over it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.age.fit import distributions, int8_embeddings
from training.report.background import outside_body
from training.report.material import Floats, Material
from training.report.plots import png
from training.report.section import Picture, Section, weeks

KEY, TITLE = "saliency", "Where does it look?"
CROPS = 6
ALONG = 12
"""Patches along the crop, each overlapping the next by half."""
Pixels = NDArray[np.uint8]


def section(material: Material) -> Section:
    """Return occlusion maps of typical test crops (Zeiler and Fergus, 2014)."""
    chosen = typical(material)
    crops = material.crops[material.side("test")[chosen]]
    bins = np.array(material.spec.bin_centres_days)

    def age_of(pictures: Pixels) -> Floats:
        found: Floats = distributions(int8_embeddings(material.content, pictures), material.spec) @ bins
        return found

    maps = [occlusion(crop, age_of) for crop in crops]
    body = ~outside_body(*crops.shape[1:3])
    shares = [float(np.abs(one)[body].sum() / np.abs(one).sum()) if one.any() else float("nan") for one in maps]
    inside = float(np.nanmean(shares)) if np.isfinite(shares).any() else float("nan")
    largest = float(np.max([np.abs(one).max() for one in maps]))
    area = float(body.mean())
    weak = np.isfinite(inside) and inside < area
    return Section(
        KEY,
        TITLE,
        f"{100 * inside:.0f}% of the change lies within the ellipse about the body, which is {100 * area:.0f}% of the "
        f"crop; a patch changes the age by up to {weeks(largest)} weeks."
        if np.isfinite(inside)
        else "No patch changes any age.",
        (
            "A patch of the crop's mean grey, a twelfth of its length, is slid in steps of half its size over the int8 "
            "network's input. Red: covering it makes the animal look older, so what is there looks young; blue: the "
            "other way. The map shows what the network uses, not what ages: a patch is also a thing of its own.",
        ),
        {
            "crops": len(crops),
            "share_within_body": inside,
            "share_within_body_by_crop": shares,
            "body_share_of_crop": area,
            "largest_change_days": largest,
        },
        pictures=(_picture(crops, maps, material, chosen),),
        beware="Background counts for more than its area." if weak else "",
    )


def occlusion(crop: Pixels, age_of: Callable[[Pixels], Floats]) -> Floats:
    """Return the mean change of the predicted age, days, float64 (h, w), over the patches that cover a pixel.

    crop uint8 (h, w, c); age_of: crops (n, h, w, c) to days (n,).
    """
    height, width = crop.shape[:2]
    size = max(2, width // ALONG)
    step = size // 2
    corners = [(y, x) for y in _starts(height, size, step) for x in _starts(width, size, step)]
    grey = np.round(crop.mean()).astype(np.uint8)
    covered = np.repeat(crop[None], len(corners), axis=0)
    for picture, (y, x) in zip(covered, corners, strict=True):
        picture[y : y + size, x : x + size] = grey
    change = age_of(covered) - age_of(crop[None])[0]
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for (y, x), value in zip(corners, change, strict=True):
        total[y : y + size, x : x + size] += value
        count[y : y + size, x : x + size] += 1
    return np.asarray(total / count)


def typical(material: Material) -> NDArray[np.intp]:
    """Return up to CROPS test readings, the youngest first: in each share of ages the one of the most usual error."""
    predictions = material.predictions
    order = np.argsort(predictions["age_days"].to_numpy(float), kind="stable")
    error = predictions["gap_days"].abs().to_numpy(float)
    usual = np.median(error)
    parts = np.array_split(order, min(CROPS, len(order)))
    return np.array([part[np.argmin(np.abs(error[part] - usual))] for part in parts])


def _starts(length: int, size: int, step: int) -> list[int]:
    """Return starts of patches that reach the far edge."""
    last = max(0, length - size)
    return sorted({*range(0, last + 1, step), last})


def _picture(crops: Pixels, maps: list[Floats], material: Material, chosen: NDArray[np.intp]) -> Picture:
    from matplotlib.figure import Figure

    columns = min(2, len(crops))
    lines = -(-len(crops) // columns)
    height, width = crops.shape[1:3]
    figure = Figure(
        figsize=(4.9 * columns + 0.8, 4.9 * height / width * lines + 0.35 * lines + 0.3), dpi=110, layout="constrained"
    )
    found: Any = figure.subplots(lines, columns, squeeze=False).ravel()
    most = max(1.0, float(np.quantile(np.abs(np.stack(maps)), 0.995))) / 7
    shown = None
    for axis in found:
        axis.set_axis_off()
    for axis, crop, change, row in zip(found, crops, maps, chosen, strict=False):
        reading = material.predictions.iloc[row]
        axis.imshow(crop.mean(axis=2), cmap="gray", vmin=0, vmax=255)
        strength = np.clip(np.abs(change) / 7 / most, 0, 1) * 0.65
        shown = axis.imshow(change / 7, cmap="RdBu_r", vmin=-most, vmax=most, alpha=strength)
        title = f"is {reading['age_days'] / 7:.0f}, looks {reading['predicted_days'] / 7:.0f} weeks"
        axis.set_title(f"{title}, {reading['light'] or 'light not given'}", fontsize=9)
    if shown is not None:
        from matplotlib.cm import ScalarMappable

        bar = ScalarMappable(norm=shown.norm, cmap=shown.cmap)
        figure.colorbar(bar, ax=list(found), label="change when covered, weeks", shrink=0.8, pad=0.02)
    file = png(figure)
    return Picture("What covering a patch changes, over crops of usual error, youngest first.", file)
