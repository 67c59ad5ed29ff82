"""Frames worth labelling: uncertain, unlike each other, sharp; written as a project that our own reader takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from edge.errors import OperatorError
from tests.training.conftest import command, here
from tests.training.labelled_project import PARTS, make_project
from training.deeplabcut.read import read_project
from training.deeplabcut.write import Suggestion, write_project
from training.locator.active_learning import Candidate, choose
from training.locator.uncertainty import Uncertainty, spread_of


def candidate(number: int, grey: float, uncertainty: float, sharp: float = 100.0) -> Candidate:
    """Return a frame of one grey with a given uncertainty."""
    thumbnail = np.full((24, 32), grey, np.float32)
    return Candidate(
        Path("v.mp4"),
        number,
        f"img{number}.png",
        thumbnail,
        sharp,
        Uncertainty(np.empty((0, 4, 3)), *[uncertainty] * 3),
    )


def test_doubtful_then_different_and_never_a_copy_or_a_blur() -> None:
    """The most uncertain comes first, its near-copy and the blurred frame never, whatever their uncertainty."""
    frames = [
        candidate(0, 0.50, 0.9),
        candidate(1, 0.505, 0.85),
        candidate(2, 0.9, 0.3),
        candidate(3, 0.1, 1.0, sharp=1.0),
        candidate(4, 0.2, 0.5),
    ]
    assert [one.number for one in choose(frames, 5)] == [0, 4, 2]


def test_spread_of_a_sharp_and_a_flat_map() -> None:
    """One cell of all the mass is no spread; a flat map is all of it."""
    sharp = np.zeros((48, 48, 2), np.float32)
    sharp[10, 20] = 60
    assert spread_of(sharp) == 0
    assert spread_of(np.zeros((48, 48, 2), np.float32)) == 1


@pytest.mark.parametrize("animals", [1, 2])
def test_a_written_project_is_read_again(tmp_path: Path, animals: int) -> None:
    """Labels come back as they were written; unlikely ones and those beyond the picture are left open."""
    points = np.tile([[10.0, 20, 0.9], [30, 40, 0.2], [500, 5, 0.9], [50, 60, 0.8]], (animals, 1, 1))
    points[:, :, 0] += np.arange(animals)[:, None]
    shown = Suggestion("v1", "img7.jpg", np.zeros((90, 120, 3), np.uint8), points)
    write_project(tmp_path / "p", [shown], PARTS, [Path("v1.mp4")], "Ann")
    found = read_project(tmp_path / "p")
    assert found.keypoints == PARTS
    assert len(found.frames[0].animals) == animals
    np.testing.assert_array_equal(found.frames[0].animals[0][0], (10, 20))
    assert np.isnan(found.frames[0].animals[0][1:3]).all()
    config = yaml.safe_load((tmp_path / "p/config.yaml").read_text())
    assert config["multianimalproject"] is (animals > 1)
    assert config["multianimalbodyparts" if animals > 1 else "bodyparts"] == list(PARTS)
    assert next(iter(config["video_sets"].values())) == {"crop": "0, 120, 0, 90"}
    with pytest.raises(OperatorError, match="expected a new or empty folder"):
        write_project(tmp_path / "p", [shown], PARTS, [Path("v1.mp4")], "Ann")


@pytest.mark.parametrize("animals", [1, 2])
def test_pandas_loses_no_label_and_no_folder(tmp_path: Path, animals: int) -> None:
    """As DeepLabCut reads the table: first pictures without labels swallow none, and the folder 007 stays 007."""
    points = np.tile([[10.0, 20, 0.9], [30, 40, 0.9], [50, 60, 0.2], [70, 80, 0.9]], (animals, 1, 1))
    rows = [
        Suggestion("007", f"img{number}.png", np.zeros((90, 120, 3), np.uint8), points[:found])
        for number, found in enumerate((0, 0, animals, animals))
    ]
    write_project(tmp_path / "p", rows, PARTS, [Path("007.mp4")], "Ann")
    headers = list(range(4 if animals > 1 else 3))
    table = pd.read_csv(tmp_path / "p/labeled-data/007/CollectedData_Ann.csv", index_col=0, header=headers)
    assert list(table.index) == ["labeled-data/007/img2.png", "labeled-data/007/img3.png"]
    assert table.columns.names == ["scorer", *(["individuals"] if animals > 1 else []), "bodyparts", "coords"]
    np.testing.assert_array_equal(table.to_numpy()[1, :8], (10, 20, 30, 40, np.nan, np.nan, 70, 80))


def test_without_labels_there_is_no_table(tmp_path: Path) -> None:
    """A picture is all that is written of a video that is given no labels, and the reader says that none are there."""
    bare = Suggestion("v1", "img7.jpg", np.zeros((90, 120, 3), np.uint8), np.ones((1, 4, 3)))
    write_project(tmp_path / "p", [bare], PARTS, [Path("v1.mp4")], "Ann", labels=False)
    assert [path.name for path in (tmp_path / "p/labeled-data/v1").iterdir()] == ["img7.png"]
    with pytest.raises(OperatorError, match=r"CollectedData_<scorer>\.csv, found none"):
        read_project(tmp_path / "p")


def test_locator_resumes_and_suggest_asks_it(tmp_path: Path) -> None:
    """A locator of simulated and labelled data together, trained for real; it then suggests frames of a folder."""
    project = make_project(tmp_path / "project", frames=10)
    run, own = tmp_path / "simulated", tmp_path / "own"
    done = command("simulate", "--out", run, "--cages", 2, "--frames", 2, "--workers", 1)
    assert done.returncode == 0, done.stderr
    options = ("--dlc", project, "--dataset", run, "--out", own, "--steps", 2, "--centre-steps", 2)
    done = command("locator", *options)
    assert done.returncode == 0, done.stderr
    (own / "parts.tflite").unlink()
    again = here("locator", *options, "--resume")
    assert again.returncode == 0, again.stderr
    assert "centres: 2/2" in done.stderr
    assert "centres: 2/2" not in again.stderr
    assert "parts: 2/2" in again.stderr
    source = project / "labeled-data/v1"
    chosen = tmp_path / "next"
    done = command("suggest", "--run", own, source, "--out", chosen, "--count", 3, "--no-labels")
    assert done.returncode == 0, done.stderr
    pictures = sorted((chosen / "labeled-data/v1").glob("*.png"))
    assert len(pictures) == 3
    np.testing.assert_array_equal(
        Image.open(pictures[0]).convert("RGB"), Image.open(source / pictures[0].name).convert("RGB")
    )
    assert (chosen / "suggestions.json").exists()


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    """A source that does not exist gives one clear error."""
    from edge.contract.bundle.demo import DEMO_BUNDLE

    if not DEMO_BUNDLE.exists():
        pytest.skip("the demo bundle has not been made")
    done = command("suggest", "--bundle", DEMO_BUNDLE, tmp_path / "gone.mp4", "--out", tmp_path / "p")
    assert done.returncode == 2
    assert "gone.mp4 does not exist; name a folder of images or a video file" in done.stderr
