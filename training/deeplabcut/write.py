"""Writing a DeepLabCut project that its labelling tool opens: config.yaml, pictures, and labels to start from.

The keys of config.yaml and the layout of the tables are those of DeepLabCut 2.3 and 3.0
(`deeplabcut/utils/auxiliaryfunctions.py`, `create_config_template`; `CollectedData_<scorer>.csv`). The tool reads
labels from HDF5: `deeplabcut.convertcsv2h5(config)` makes it from the CSV. That function reads the CSV by pandas, which
takes a first row without any label for the names of the index, and a video's folder `007` in a column of its own for 7:
so a picture without labels has no row, and the path stands in one column.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from edge.errors import OperatorError
from edge.vision.frame import Image
from edge.vision.image import write_image


@dataclass(frozen=True, slots=True, eq=False)
class Suggestion:
    """A picture to label, uint8 (h, w, 3), its video's and file's names, and what was found, (animals, parts, 3)."""

    video: str
    name: str
    pixels: Image
    points: NDArray[np.float64]


def write_project(
    folder: Path,
    suggestions: Sequence[Suggestion],
    keypoints: Sequence[str],
    sources: Sequence[Path],
    scorer: str,
    *,
    labels: bool = True,
    least: float = 0.5,
) -> None:
    """Write the project; labels of parts whose likelihood is `least` or more are given to start from.

    Several animals in any of the pictures make it a multi-animal project. A video whose pictures are given no labels
    has no table: the tool opens its pictures as they are.

    Raises:
        OperatorError: the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise OperatorError(f"{folder}: expected a new or empty folder for the project, it holds something")
    animals = max(1, max((len(one.points) for one in suggestions), default=1))
    individuals = [f"animal{number + 1}" for number in range(animals)] if animals > 1 else []
    sizes: dict[str, tuple[int, int]] = {}
    for one in suggestions:
        pictures = folder / "labeled-data" / one.video
        pictures.mkdir(parents=True, exist_ok=True)
        write_image(pictures / f"{Path(one.name).stem}.png", one.pixels)
        sizes[one.video] = one.pixels.shape[1], one.pixels.shape[0]
    for video in sizes:
        rows = [one for one in suggestions if one.video == video]
        _write_table(folder, video, rows, keypoints, individuals, scorer, least if labels else np.inf)
    (folder / "config.yaml").write_text(_config(folder, sizes, keypoints, individuals, sources, scorer))


def _write_table(
    folder: Path,
    video: str,
    rows: Sequence[Suggestion],
    keypoints: Sequence[str],
    individuals: Sequence[str],
    scorer: str,
    least: float,
) -> None:
    columns = [(animal, part) for animal in individuals or [""] for part in keypoints]
    twice = [column for column in columns for _ in "xy"]
    lines = []
    for one in sorted(rows, key=lambda row: row.name):
        cells = [
            cell
            for animal in range(max(1, len(individuals)))
            for part in range(len(keypoints))
            for cell in _cells(one, animal, part, least)
        ]
        if any(cells):
            lines.append([f"labeled-data/{video}/{Path(one.name).stem}.png", *cells])
    if not lines:
        return
    with (folder / "labeled-data" / video / f"CollectedData_{scorer}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["scorer", *[scorer] * len(twice)])
        if individuals:
            table.writerow(["individuals", *[animal for animal, _ in twice]])
        table.writerow(["bodyparts", *[part for _, part in twice]])
        table.writerow(["coords", *["x", "y"] * len(columns)])
        table.writerows(lines)


def _cells(one: Suggestion, animal: int, part: int, least: float) -> list[str]:
    """Return x and y, or nothing where the part was not found, or lies beyond the picture."""
    if animal >= len(one.points):
        return ["", ""]
    x, y, likelihood = one.points[animal, part]
    height, width = one.pixels.shape[:2]
    if likelihood < least or not (0 <= x < width and 0 <= y < height):
        return ["", ""]
    return [f"{x:.2f}", f"{y:.2f}"]


def _config(
    folder: Path,
    sizes: dict[str, tuple[int, int]],
    keypoints: Sequence[str],
    individuals: Sequence[str],
    sources: Sequence[Path],
    scorer: str,
) -> str:
    """Return config.yaml. A folder of pictures stands in video_sets by its name: the tool takes the crop from there."""
    by_stem = {source.stem: source for source in sources}
    parts: dict[str, object] = {"bodyparts": list(keypoints)}
    if individuals:
        parts = {
            "individuals": list(individuals),
            "uniquebodyparts": [],
            "multianimalbodyparts": list(keypoints),
            "bodyparts": "MULTI!",
        }
    content = {
        **{"Task": folder.name, "scorer": scorer, "date": f"{date.today():%b%d}"},
        **{"multianimalproject": bool(individuals), "identity": False if individuals else None},
        **{"project_path": str(folder.resolve()), "engine": "pytorch"},
        "video_sets": {
            str(by_stem[video].resolve()): {"crop": f"0, {width}, 0, {height}"}
            for video, (width, height) in sizes.items()
        },
        **parts,
        **{"start": 0, "stop": 1, "numframes2pick": 20},
        "skeleton": [list(pair) for pair in pairwise(keypoints)],
        **{"skeleton_color": "black", "pcutoff": 0.6, "dotsize": 8, "alphavalue": 0.7, "colormap": "rainbow"},
        **{"TrainingFraction": [0.95], "iteration": 0, "default_net_type": "resnet_50"},
        **{"default_augmenter": "default", "snapshotindex": -1, "detector_snapshotindex": -1, "batch_size": 8},
        **{"detector_batch_size": 1, "cropping": False, "x1": 0, "x2": 640, "y1": 277, "y2": 624},
        **{"corner2move2": [50, 50], "move2corner": True, "SuperAnimalConversionTables": None},
    }
    return yaml.safe_dump(content, sort_keys=False)
