"""DeepLabCut itself takes what `suggest` writes, opens it in its labelling tool, and its own projects are read here.

DeepLabCut is no dependency: CAGECLOCK_DEEPLABCUT_PYTHON names the Python of an environment with deeplabcut and
napari-deeplabcut in it. Its side of each test is deeplabcut_session.py, without a window, a GPU or a network.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.conftest import ROOT, command
from tests.training.labelled_project import PARTS, make_project
from training.deeplabcut.read import LabelledFrame, read_project
from training.deeplabcut.write import Suggestion, write_project

PYTHON = os.environ.get("CAGECLOCK_DEEPLABCUT_PYTHON", "")
FOOTAGE = Path(os.environ.get("CAGECLOCK_SHARED_DATA", ROOT.parent / "shared/data")) / "openfield"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="CAGECLOCK_DEEPLABCUT_PYTHON names no Python that has deeplabcut"),
]


def deeplabcut(*arguments: object) -> Any:
    """Run deeplabcut_session.py by DeepLabCut's Python and return what it found."""
    script = Path(__file__).with_name("session.py")
    outer = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [PYTHON, str(script), *map(str, arguments)]
    done = subprocess.run(line, env=outer, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def suggestions(video: str, animals: int, bare: tuple[int, ...], pictures: int = 5) -> list[Suggestion]:
    """Return made-up pictures of a video; in those numbered in `bare` nothing was found, in the last one part less."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(pictures):
        points = np.concatenate([rng.uniform(10, 80, (animals, 4, 2)), np.full((animals, 4, 1), 0.9)], axis=-1)
        if number == pictures - 1:
            points[:, 2, 2] = 0.1
        pixels = rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)
        rows.append(Suggestion(video, f"img{number:04}.png", pixels, points[: 0 if number in bare else animals]))
    return rows


def by_picture(frames: tuple[LabelledFrame, ...]) -> dict[str, str]:
    """Return each picture's labels, to the hundredth of a pixel as they were written, by its path in the project."""
    return {str(Path(*one.image.parts[-3:])): str(np.round(np.stack(one.animals), 2).tolist()) for one in frames}


@pytest.mark.parametrize("animals", [1, 2])
@pytest.mark.parametrize("bare", [(), (0, 1), (0, 1, 2, 3, 4)], ids=["labelled", "first two bare", "bare"])
def test_a_written_project_is_labelled_on(tmp_path: Path, animals: int, bare: tuple[int, ...]) -> None:
    """Every label stands on its picture in the tool, trains DeepLabCut, and comes back as it was, saved by the tool."""
    project = tmp_path / "next"
    # A second video, whose name is a number, so that one remains where the first has no labels at all.
    rows = [*suggestions("v1", animals, bare), *suggestions("007", animals, ())]
    write_project(project, rows, PARTS, [tmp_path / "v1.mp4", tmp_path / "007.mp4"], "Ann")
    before = read_project(project)
    found = deeplabcut("take", project)
    assert found["scorer"] == "Ann"
    assert found["bodyparts"] == list(PARTS)
    assert found["individuals"] == ([f"animal{number + 1}" for number in range(animals)] if animals > 1 else [])
    assert found["trained_on"] == len(before.frames) == 10 - len(bare)
    assert set(found["videos"]) == {"v1", "007"}
    labels = 0
    for video, seen in found["videos"].items():
        assert seen["pictures"] == [f"labeled-data/{video}/img{number:04}.png" for number in range(5)]
        assert seen["shape"] == [5, 90, 120, 3]
        assert seen["drawn"] == len(seen["rows"]) == (5 - len(bare) if video == "v1" else 5)
        labels += seen["labels"]
        for name, who, part, x, y in seen.get("points", []):
            wanted = next(frame for frame in before.frames if str(frame.image).endswith(name))
            at = wanted.animals[int(who.removeprefix("animal")) - 1 if who else 0][PARTS.index(part)]
            np.testing.assert_allclose((x, y), at, atol=1e-6)
    written = sum(int(np.isfinite(animal).sum()) for frame in before.frames for animal in frame.animals)
    assert labels == written == 2 * sum(len(seen.get("points", [])) for seen in found["videos"].values())
    assert by_picture(read_project(project).frames) == by_picture(before.frames)


def test_what_suggest_wrote_opens(tmp_path: Path) -> None:
    """With a locator trained for a moment: its pictures are in the tool, with the labels it was sure of."""
    labelled, source = FOOTAGE, next(iter((FOOTAGE / "videos").glob("*.mp4")), None)
    if source is None:
        labelled = make_project(tmp_path / "project", frames=10)
        source = labelled / "labeled-data/v1"
    own, chosen = tmp_path / "own", tmp_path / "next"
    done = command("locator", "--dlc", labelled, "--out", own, "--steps", 40, "--centre-steps", 60)
    assert done.returncode == 0, done.stderr
    done = command("suggest", "--run", own, source, "--out", chosen, "--count", 4, "--look-at", 20)
    assert done.returncode == 0, done.stderr
    tables = list(chosen.glob("labeled-data/*/*.csv"))
    given = {frame.image.name for frame in read_project(chosen).frames} if tables else set()
    found = deeplabcut("take", chosen)
    [(video, seen)] = found["videos"].items()
    assert video == source.stem
    assert len(seen["pictures"]) == 4
    assert {Path(name).name for name, *_ in seen.get("points", [])} == given
    assert found["trained_on"] == len(given)


@pytest.mark.skipif(not FOOTAGE.is_dir(), reason="the open-field footage is not on this machine")
def test_projects_of_its_own_are_read(tmp_path: Path) -> None:
    """Created by DeepLabCut from a video, labelled by its tool's writer: one animal, and two with names."""
    [video] = (FOOTAGE / "videos").iterdir()
    made = deeplabcut("make", tmp_path, video)
    for animals, folder in made.items():
        project = read_project(Path(folder))
        assert project.keypoints == PARTS
        assert len(project.frames) == 3
        for number, frame in enumerate(project.frames):
            assert len(frame.animals) == int(animals)
            for who, points in enumerate(frame.animals):
                wanted = [(30.5 + 60 * who + 5 * number, 20.25 + 50 * who + 7 * part) for part in range(4)]
                if number == 1:
                    wanted[1] = (np.nan, np.nan)
                np.testing.assert_array_equal(points, wanted)
