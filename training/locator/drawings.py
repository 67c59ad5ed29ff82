"""Drawings of the locator's report: the worst frames, and the plots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.deeplabcut.frames import LocatorData, read_main
from training.deeplabcut.read import Project

COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#999999")
TILE = 300


def draw_worst(
    out: Path,
    project: Project,
    data: LocatorData,
    found: NDArray[np.float64],
    truth: NDArray[np.float64],
    errors: NDArray[np.float64],
    count: int = 12,
) -> None:
    """Draw the animals with the largest error: labels as crosses, found parts as rings, a colour a part.

    Grey lines join the labels as the project's skeleton does.
    """
    from PIL import Image, ImageDraw

    worst = np.argsort(-np.nan_to_num(errors, nan=-1.0).max(axis=1), kind="stable")[:count]
    columns = 4
    rows = -(-len(worst) // columns)
    sheet = Image.new("RGB", (columns * TILE, rows * (TILE + 16)), "white")
    for place, animal in enumerate(worst):
        frame = project.frames[data.frame[animal]]
        points = np.concatenate([truth[animal], found[animal, :, :2]])
        points = points[~np.isnan(points[:, 0])]
        middle, half = (points.min(0) + points.max(0)) / 2, max(20.0, float(np.ptp(points, axis=0).max()) * 0.65)
        corner = middle - half
        box = (*corner, *(middle + half))
        tile = Image.fromarray(read_main(frame)).transform((TILE, TILE), Image.Transform.EXTENT, box)
        pen = ImageDraw.Draw(tile)
        for pair in project.skeleton:
            ends = (truth[animal, [project.keypoints.index(part) for part in pair]] - corner) * TILE / (2 * half)
            if not np.isnan(ends).any():
                pen.line([tuple(end) for end in ends], fill="#9a9a9a", width=1)
        for part in range(len(project.keypoints)):
            colour = COLOURS[part % len(COLOURS)]
            for kind, point in (("found", found[animal, part, :2]), ("label", truth[animal, part])):
                if np.isnan(point[0]):
                    continue
                x, y = (point - corner) * TILE / (2 * half)
                if kind == "found":
                    pen.ellipse((x - 6, y - 6, x + 6, y + 6), outline=colour, width=2)
                else:
                    pen.line((x - 6, y - 6, x + 6, y + 6), fill=colour, width=2)
                    pen.line((x - 6, y + 6, x + 6, y - 6), fill=colour, width=2)
        x, y = place % columns * TILE, place // columns * (TILE + 16)
        sheet.paste(tile, (x, y + 16))
        part = int(np.nanargmax(errors[animal]))
        text = f"{frame.image.name}: {project.keypoints[part]} {errors[animal, part]:.1f} px"
        ImageDraw.Draw(sheet).text((x + 3, y + 2), text, fill="black")
    sheet.save(out)


def draw_plots(out: Path, figures: dict[str, Any], errors: NDArray[np.float64], keypoints: Sequence[str]) -> None:
    """Draw cumulative errors a part, the reliability of the likelihood, and the learning curve into plots.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (cumulative, reliable, curve) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for part, name in enumerate(keypoints):
        known = np.sort(errors[~np.isnan(errors[:, part]), part])
        cumulative.step(
            known, np.arange(1, len(known) + 1) / max(1, len(known)), COLOURS[part % len(COLOURS)], label=name
        )
    cumulative.set(xlabel="error, px", ylabel="fraction of labels", xlim=(0, 10), title="error, held-out frames")
    cumulative.legend()
    rows = figures["likelihood"]["table"]
    reliable.plot([0, 1], [0, 1], "k:")
    reliable.plot([row["likelihood"] for row in rows], [row["hit_rate"] for row in rows], "o-")
    reliable.set(xlabel="likelihood", ylabel=f"found within {figures['hit_px']:.1f} px", title="calibration")
    points = figures["learning_curve"]
    for key in ("mean_px", "median_px"):
        curve.plot([row["frames"] for row in points], [row[key] for row in points], "o-", label=key)
    curve.set(xlabel="labelled frames trained on", ylabel="error, px", title="learning curve")
    if points:
        curve.legend()
    figure.savefig(out / "plots.png", dpi=90)
    pyplot.close(figure)
