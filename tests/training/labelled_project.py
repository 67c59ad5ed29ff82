"""A made-up DeepLabCut project: a bright bar for an animal, whose ends and sides are its parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PARTS = ("snout", "leftear", "rightear", "tailbase")


def make_project(folder: Path, frames: int = 10, size: tuple[int, int] = (240, 180), seed: int = 3) -> Path:
    """Write the project, one video of `frames` pictures, and return its folder."""
    rng = np.random.default_rng(seed)
    labels = folder / "labeled-data" / "v1"
    labels.mkdir(parents=True)
    rows = [
        ",".join(["scorer", *["Ann"] * 8]),
        ",".join(["bodyparts", *[part for part in PARTS for _ in "xy"]]),
        ",".join(["coords", *"xy" * 4]),
    ]
    for number in range(frames):
        middle = rng.uniform((70, 70), (size[0] - 70, size[1] - 70))
        angle = rng.uniform(0, 2 * np.pi)
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        points = [
            *(middle + 45 * along, middle + 25 * along - 12 * across),
            *(middle + 25 * along + 12 * across, middle - 45 * along),
        ]
        picture = Image.fromarray(rng.integers(0, 60, (size[1], size[0]), dtype=np.uint8))
        pen = ImageDraw.Draw(picture)
        pen.line([tuple(points[3]), tuple(points[0])], fill=190, width=20)
        for point, grey in zip(points, (255, 120, 120, 20), strict=True):
            pen.ellipse([*(point - 5), *(point + 5)], fill=grey)
        picture.save(labels / f"img{number:03}.png")
        rows.append(",".join([f"labeled-data/v1/img{number:03}.png", *(f"{v:.2f}" for p in points for v in p)]))
    (labels / "CollectedData_Ann.csv").write_text("\n".join(rows) + "\n")
    return folder
