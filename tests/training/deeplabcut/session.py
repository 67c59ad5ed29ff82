"""What DeepLabCut and its labelling tool make of a project; run by the Python they are installed in, not by ours.

    python deeplabcut_session.py versions
    python deeplabcut_session.py take PROJECT       as one who labels on: table, check, training set, tool, saved again
    python deeplabcut_session.py make FOLDER VIDEO  projects of its own, labelled by its own tool: one animal, and two

The last line of what it prints is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.update(QT_QPA_PLATFORM="offscreen", MPLBACKEND="Agg")
warnings.filterwarnings("ignore")

PARTS = ["snout", "leftear", "rightear", "tailbase"]


def versions() -> dict[str, str]:
    """Return the versions of what is tried."""
    return {name: version(name) for name in ("deeplabcut", "napari-deeplabcut", "napari", "pandas", "torch")}


def take(project: Path) -> dict[str, Any]:
    """Read, convert, check, make a training set, open in the tool, save from there; return what each step found."""
    import deeplabcut
    import pandas as pd
    from deeplabcut.utils import auxiliaryfunctions

    config = str(project / "config.yaml")
    content = auxiliaryfunctions.read_config(config)
    deeplabcut.convertcsv2h5(config, userfeedback=False)
    deeplabcut.check_labels(config)
    found: dict[str, Any] = {
        "scorer": content["scorer"],
        "bodyparts": auxiliaryfunctions.get_bodyparts(content),
        "individuals": list(content["individuals"]) if content["multianimalproject"] else [],
        "videos": {},
    }
    if list(project.glob("labeled-data/*/*.h5")):
        deeplabcut.create_training_dataset(config)
    merged = list(project.glob("training-datasets/**/CollectedData_*.h5"))
    found["trained_on"] = len(pd.read_hdf(merged[0])) if merged else 0
    for video in sorted(path for path in (project / "labeled-data").iterdir() if not path.name.endswith("_labeled")):
        tables = [pd.read_hdf(path) for path in video.glob("*.h5")]
        found["videos"][video.name] = {
            "rows": [list(row) for table in tables for row in table.index],
            "labels": sum(int(table.notna().sum().sum()) for table in tables),
            "drawn": len(list(video.with_name(f"{video.name}_labeled").glob("*.png"))),
            **_open(video, save=bool(tables)),
        }
    return found


def _open(video: Path, *, save: bool) -> dict[str, Any]:
    """Open a video's folder by the plugin, and let it write the points again; return what stands on which picture."""
    from napari.components import ViewerModel
    from napari.plugins import _initialize_plugins
    from napari_deeplabcut.core.layer_lifecycle.spawn import get_or_create_layer_manager
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication([])
    _initialize_plugins()
    viewer = ViewerModel()
    # What the tool's panel attaches to a window: among others it moves points to the pictures that they are named for.
    manager = get_or_create_layer_manager(viewer)
    viewer.open(str(video), plugin="napari-deeplabcut")
    by_kind = {type(layer).__name__: layer for layer in viewer.layers}
    names = list(by_kind["Image"].metadata["paths"])
    seen: dict[str, Any] = {"pictures": names, "shape": list(by_kind["Image"].data.shape)}
    if save:
        points = by_kind["Points"]
        rows = zip(points.properties["id"], points.properties["label"], points.data, strict=True)
        seen["points"] = [[names[int(at)], str(who), str(part), x, y] for who, part, (at, y, x) in rows]
        seen["saved"] = points.save(str(video / "again.h5"), plugin="napari-deeplabcut")
    manager.detach()
    del application
    return seen


def make(folder: Path, video: Path) -> dict[str, str]:
    """Create a single and a multi-animal project of the video and label three frames; return their folders."""
    return {str(animals): str(_labelled(folder, video, animals)) for animals in (1, 2)}


def _labelled(folder: Path, video: Path, animals: int) -> Path:
    import deeplabcut
    from deeplabcut.utils import auxiliaryfunctions

    names = {
        "project": f"own{animals}",
        "experimenter": "Ann",
        "videos": [str(video)],
        "working_directory": str(folder),
    }
    config = deeplabcut.create_new_project(**names, multianimal=animals > 1, copy_videos=False)
    individuals = [f"mouse{number}" for number in range(1, animals + 1)]
    changes: dict[str, Any] = {"bodyparts": PARTS, "numframes2pick": 3}
    if animals > 1:
        changes = {**changes, "bodyparts": "MULTI!", "multianimalbodyparts": PARTS, "individuals": individuals}
    auxiliaryfunctions.edit_config(config, changes)
    deeplabcut.extract_frames(config, mode="automatic", algo="uniform", userfeedback=False, crop=False)
    pictures = sorted((Path(config).parent / "labeled-data" / video.stem).glob("*.png"))
    _label(Path(config), pictures, individuals if animals > 1 else [""])
    return Path(config).parent


def _label(config: Path, pictures: Sequence[Path], individuals: Sequence[str]) -> None:
    """Write points by the tool's own writer, into the header that it makes of config.yaml; one part stays open."""
    import numpy as np
    from napari.layers import Points
    from napari_deeplabcut._reader import get_config_reader
    from napari_deeplabcut._writer import write_hdf_napari_dlc

    [(_, attributes, _)] = get_config_reader(str(config))(str(config))
    rows = [
        (number, 20 + 50 * who + 7 * part + 0.25, 30 + 60 * who + 5 * number + 0.5, individual, name)
        for number in range(len(pictures))
        for who, individual in enumerate(individuals)
        for part, name in enumerate(PARTS)
        if (number, name) != (1, "leftear")
    ]
    attributes["metadata"]["paths"] = [str(Path(*picture.parts[-3:])) for picture in pictures]
    attributes["metadata"]["root"] = str(pictures[0].parent)
    properties = {
        "label": np.array([row[4] for row in rows]),
        "id": np.array([row[3] for row in rows]),
        "likelihood": np.ones(len(rows)),
        "valid": np.ones(len(rows), bool),
    }
    layer = Points(np.array([row[:3] for row in rows]), properties=properties, metadata=attributes["metadata"])
    layer.metadata["name"] = "CollectedData_Ann"
    data, written, _ = layer.as_layer_data_tuple()
    saved = write_hdf_napari_dlc(str(pictures[0].parent / "CollectedData_Ann.h5"), data, written)
    assert saved, "nothing was written"


if __name__ == "__main__":
    mode, *paths = sys.argv[1:]
    print(json.dumps({"versions": versions, "take": take, "make": make}[mode](*map(Path, paths))))  # type: ignore[operator]
