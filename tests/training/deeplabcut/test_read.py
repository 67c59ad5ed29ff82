"""DeepLabCut projects: every layout that its versions write, and one clear error for each thing that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import OperatorError
from training.deeplabcut.frames import MARGIN, cut_project, scale_of
from training.deeplabcut.read import read_project
from training.networks.shapes import centres_spec, parts_spec

SINGLE = """scorer,Ann,Ann,Ann,Ann
bodyparts,snout,snout,tailbase,tailbase
coords,x,y,x,y
"""


def project(folder: Path, text: str, images: int = 3, video: str = "m1", size: tuple[int, int] = (64, 48)) -> Path:
    """Write a project of one video and return its folder."""
    labels = folder / "labeled-data" / video
    labels.mkdir(parents=True)
    (labels / "CollectedData_Ann.csv").write_text(text)
    for number in range(images):
        Image.new("RGB", size, (number * 20, 90, 90)).save(labels / f"img{number}.png")
    return folder


def test_single_animal_with_joined_paths(tmp_path: Path) -> None:
    """A single-animal table with the path in one column gives one animal a frame, in the table's order."""
    rows = "labeled-data/m1/img0.png,1.5,2,30,40\nlabeled-data/m1/img1.png,3,4,5,6\n"
    found = read_project(project(tmp_path, SINGLE + rows))
    assert found.keypoints == ("snout", "tailbase")
    assert [frame.image.name for frame in found.frames] == ["img0.png", "img1.png"]
    np.testing.assert_array_equal(found.frames[0].animals[0], [[1.5, 2], [30, 40]])


def test_path_split_over_three_columns(tmp_path: Path) -> None:
    """Newer versions split the path over three columns; the labels are the same."""
    text = (
        "scorer,,,Ann,Ann,Ann,Ann\nbodyparts,,,snout,snout,tailbase,tailbase\ncoords,,,x,y,x,y\n"
        "labeled-data,m1,img2.png,1,2,3,4\n"
    )
    found = read_project(project(tmp_path, text))
    assert found.frames[0].image == tmp_path / "labeled-data/m1/img2.png"
    np.testing.assert_array_equal(found.frames[0].animals[0], [[1, 2], [3, 4]])


def test_several_animals_one_of_them_absent(tmp_path: Path) -> None:
    """With an individuals row each animal is its own; one without any label in a frame is not there."""
    text = (
        "scorer,Ann,Ann,Ann,Ann\nindividuals,a,a,b,b\nbodyparts,snout,snout,snout,snout\ncoords,x,y,x,y\n"
        "labeled-data/m1/img0.png,1,2,3,4\nlabeled-data/m1/img1.png,,,3,4\n"
    )
    found = read_project(project(tmp_path, text))
    assert [len(frame.animals) for frame in found.frames] == [2, 1]
    np.testing.assert_array_equal(found.frames[1].animals[0], [[3, 4]])


def test_half_a_label_is_none_and_is_named(tmp_path: Path) -> None:
    """An x without its y counts as not labelled, and the message says where."""
    rows = "labeled-data/m1/img0.png,1.5,,30,40\nlabeled-data/m1/img1.png,3,4,,6\nlabeled-data/m1/img2.png,3,4,,\n"
    found = read_project(project(tmp_path, SINGLE + rows))
    assert np.isnan([found.frames[0].animals[0][0], found.frames[1].animals[0][1]]).all()
    first, second = found.warnings
    assert first.endswith(
        "CollectedData_Ann.csv: row 4, column 3 (snout y): expected a number beside x 1.5, got nothing; "
        "counted as not labelled"
    )
    assert "row 5, column 4 (tailbase x)" in second


def test_missing_labels_are_nan(tmp_path: Path) -> None:
    """An empty cell or the word nan means: not labelled; half a point is no point."""
    rows = "labeled-data/m1/img0.png,1,2,,\nlabeled-data/m1/img1.png,nan,NaN,5,6\nlabeled-data/m1/img2.png,1,,5,6\n"
    found = read_project(project(tmp_path, SINGLE + rows))
    missing = [np.isnan(frame.animals[0]).all(axis=1).tolist() for frame in found.frames]
    assert missing == [[False, True], [True, False], [True, False]]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (SINGLE + "labeled-data/m1/img0.png,1,2,three,4\n", r"row 4, column 4 \(tailbase x\).*'three'"),
        (SINGLE + "labeled-data/m1/img0.png,1,inf,3,4\n", r"row 4, column 3 \(snout y\).*finite"),
        (
            SINGLE + "labeled-data/m1/gone.png,1,2,3,4\n",
            r"expected labelled frames.*passed over: 1, in row 4, .*gone\.png",
        ),
        (SINGLE, "expected labelled frames"),
        ("frame,x,y\n1,2,3\n", "expected header rows"),
        ("", "expected header rows"),
        (SINGLE + "labeled-data/m1/img0.png,1,2,3,4\n" * 2, "row 5: expected each picture once.*row 4"),
        (SINGLE.replace("coords,x,y,x,y", "coords,x,y,x,z"), r"row coords, column 5 \(tailbase\).*'z'"),
        (SINGLE.replace("coords,x,y,x,y", "coords,x,y,x,x"), r"column 5 \(tailbase\).*twice"),
        (SINGLE.replace("tailbase,tailbase", "tailbase,tail"), r"column 4 \(tailbase\).*y is missing"),
        (SINGLE.replace("tailbase,tailbase", "tailbase"), r"column 5 \(no body part\)"),
        ("scorer,A\nbodyparts,snout\ncoords,likelihood\nlabeled-data/m1/img0.png,1\n", "expected columns x and y"),
    ],
)
def test_a_bad_table_is_named_with_row_and_column(tmp_path: Path, text: str, where: str) -> None:
    """A malformed table gives one error that names the file, the row and the column."""
    with pytest.raises(OperatorError, match=where) as raised:
        read_project(project(tmp_path, text))
    assert "CollectedData_Ann.csv" in str(raised.value)


def test_a_project_with_h5_alone_is_told_how_to_get_csv(tmp_path: Path) -> None:
    """Labels stored only as HDF5 give one error that says what to do."""
    (tmp_path / "labeled-data/m1").mkdir(parents=True)
    (tmp_path / "labeled-data/m1/CollectedData_Ann.h5").write_bytes(b"\x89HDF")
    with pytest.raises(OperatorError, match=r"CollectedData_Ann\.h5: expected its labels as CSV"):
        read_project(tmp_path)


def test_a_truncated_picture_is_named_with_its_row(tmp_path: Path) -> None:
    """A picture that breaks off gives an error that names the table, the row and the picture."""
    folder = project(tmp_path, SINGLE + "labeled-data/m1/img0.png,1,2,3,4\n")
    path = folder / "labeled-data/m1/img0.png"
    path.write_bytes(path.read_bytes()[:60])
    found = read_project(folder)
    with pytest.raises(OperatorError, match=r"Ann\.csv: row 4, column 1: .*img0\.png: expected a whole image"):
        cut_project(found, centres_spec(), parts_spec(found.keypoints))


def test_several_videos_of_other_sizes_and_orders_of_parts(tmp_path: Path) -> None:
    """Videos may differ in size, colour and order of the columns; Windows' paths are read; unlabelled rows left out."""
    project(tmp_path, SINGLE + "labeled-data\\m1\\img0.png,1,2,3,4\nlabeled-data\\m1\\img1.png,,,,\n")
    header = SINGLE.replace("snout,snout,tailbase,tailbase", "tailbase,tailbase,snout,snout")
    project(tmp_path, header + "labeled-data/m2/img0.png,30,40,10,20\n", video="m2", size=(400, 100))
    Image.new("L", (400, 100), 9).save(tmp_path / "labeled-data/m2/img0.png")
    found = read_project(tmp_path)
    assert len(found.frames) == 2
    np.testing.assert_array_equal(found.frames[1].animals[0], [[10, 20], [30, 40]])
    data = cut_project(found, centres_spec(), parts_spec(found.keypoints))
    assert data.crops.shape == (2, 192, 192, 1)
    middle = slice(MARGIN, -MARGIN)
    np.testing.assert_array_equal(data.wide[:, middle, middle], data.crops)


def test_a_large_animal_is_scaled_into_its_crop(tmp_path: Path) -> None:
    """Where an animal spans more than a crop, the pictures are scaled, and its labels with them."""
    folder = project(tmp_path, SINGLE + "labeled-data/m1/img0.png,100,100,700,500\n", size=(800, 600))
    found = read_project(folder)
    scale = scale_of(found)
    assert scale == 5.0
    data = cut_project(found, centres_spec(), parts_spec(found.keypoints), scale)
    assert data.keypoints[0, :, 2].tolist() == [1, 1]
    np.testing.assert_allclose(np.diff(data.keypoints[0, :, :2], axis=0)[0], (120, 80))


def test_a_folder_without_labels_says_what_it_expected(tmp_path: Path) -> None:
    """A folder that is no project gives an error with the layout that was expected."""
    with pytest.raises(OperatorError, match=r"labeled-data/<video>/CollectedData_<scorer>\.csv"):
        read_project(tmp_path)


def test_tables_must_agree_on_the_body_parts(tmp_path: Path) -> None:
    """Two videos with other body parts cannot train one locator."""
    project(tmp_path, SINGLE + "labeled-data/m1/img0.png,1,2,3,4\n")
    other = SINGLE.replace("tailbase", "tail") + "labeled-data/m2/img0.png,1,2,3,4\n"
    with pytest.raises(OperatorError, match="expected the body parts of"):
        read_project(project(tmp_path, other, video="m2"))


def test_a_label_outside_its_image_is_refused(tmp_path: Path) -> None:
    """A label beyond the picture is an error that names table, row, column, image, part, size and position."""
    found = read_project(project(tmp_path, SINGLE + "labeled-data/m1/img0.png,1,2,300,4\n"))
    with pytest.raises(OperatorError, match=r"Ann\.csv: row 4, column 4 \(tailbase\).*img0\.png, 64x48.*300\.0"):
        cut_project(found, centres_spec(), parts_spec(found.keypoints))


def test_cut_labels_stay_on_their_pixels(tmp_path: Path) -> None:
    """A label in a crop lies on the pixel that it named in the picture."""
    folder = project(tmp_path, SINGLE + "labeled-data/m1/img0.png,100.5,80.5,130.5,120.5\n", size=(320, 240))
    path = folder / "labeled-data/m1/img0.png"
    pixels = np.full((240, 320, 3), 40, np.uint8)
    pixels[80, 100] = 255
    Image.fromarray(pixels).save(path)
    found = read_project(folder)
    data = cut_project(found, centres_spec(), parts_spec(found.keypoints))
    x, y, visible = data.keypoints[0, 0]
    assert visible == 1
    brightest = np.unravel_index(int(data.crops[0, :, :, 0].argmax()), (192, 192))
    assert abs(brightest[1] + 0.5 - x) <= 1
    assert abs(brightest[0] + 0.5 - y) <= 1
