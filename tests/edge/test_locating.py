"""Stored pictures become a CSV that DeepLabCut's tools read."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge.errors import BundleError, OperatorError
from edge.image import write_image
from edge.locate_command import run

DATA = Path(__file__).parents[1] / "data"


def options(tmp_path: Path, *images: Path, **changes) -> SimpleNamespace:
    values = {"bundle": DATA / "tiny.bundle", "key": [DATA / "tiny.pub"], "px_per_mm": 2.0}
    return SimpleNamespace(images=list(images), dlc_csv=tmp_path / "out.csv", **{**values, **changes})


def test_found_parts_and_empty_pictures_have_their_row(tmp_path: Path, blob_frame) -> None:
    write_image(tmp_path / "a.png", blob_frame((300, 200)).main)
    write_image(tmp_path / "b.png", np.full((480, 640, 3), 200, np.uint8))
    assert run(options(tmp_path, tmp_path / "a.png", tmp_path / "b.png")) == 0
    rows = list(csv.reader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert [row[0] for row in rows] == [
        "scorer",
        "bodyparts",
        "coords",
        str(tmp_path / "a.png"),
        str(tmp_path / "b.png"),
    ]
    assert rows[1][1:4] == ["snout"] * 3
    assert rows[2][1:4] == ["x", "y", "likelihood"]
    snout_x, snout_y = float(rows[3][1]), float(rows[3][2])
    assert 300 < snout_x < 400
    assert abs(snout_y - 200) < 20
    assert set(rows[4][1:]) == {""}
    assert len({len(row) for row in rows}) == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"px_per_mm": 0.0}, OperatorError),
        ({"bundle": Path("none.bundle")}, BundleError),
        ({"dlc_csv_folder": "missing"}, OperatorError),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path: Path, blob_frame, change: dict, error: type) -> None:
    write_image(tmp_path / "a.png", blob_frame((300, 200)).main)
    folder = change.pop("dlc_csv_folder", "") if "dlc_csv_folder" in change else ""
    given = options(tmp_path, tmp_path / "a.png", **change)
    given.dlc_csv = tmp_path / folder / "out.csv"
    with pytest.raises(error):
        run(given)
    assert not given.dlc_csv.exists()


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(OperatorError, match=r"a\.png: expected a whole image"):
        run(options(tmp_path, tmp_path / "a.png"))
