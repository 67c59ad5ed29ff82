"""A DeepLabCut project is read whatever its dialect; what is wrong is named with file, row and column."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import OperatorError
from training.dlc import read_project
from training.geometry import centres_spec, parts_spec
from training.labelled import cut_project

SINGLE = "scorer,me,me,me,me\nbodyparts,snout,snout,tail,tail\ncoords,x,y,x,y\n"
MULTI = "scorer,me,me,me,me\nindividuals,a,a,b,b\nbodyparts,snout,snout,snout,snout\ncoords,x,y,x,y\n"


def project(
    folder: Path, table: str, images: tuple[str, ...] = ("img0.png",), size: tuple[int, int] = (64, 48)
) -> Path:
    labels = folder / "labeled-data" / "video"
    labels.mkdir(parents=True)
    (labels / "CollectedData_me.csv").write_text(table)
    for name in images:
        Image.new("RGB", size, "grey").save(labels / name)
    return folder


def test_a_path_in_one_column_is_read(tmp_path: Path) -> None:
    found = read_project(project(tmp_path, SINGLE + "labeled-data/video/img0.png,1,2,3,4\n"))
    assert found.keypoints == ("snout", "tail")
    np.testing.assert_array_equal(found.frames[0].animals[0], [[1, 2], [3, 4]])


def test_a_path_split_over_three_columns_is_read(tmp_path: Path) -> None:
    table = "scorer,,,me,me\nbodyparts,,,snout,snout\ncoords,,,x,y\nlabeled-data,video,img0.png,5,6\n"
    found = read_project(project(tmp_path, table))
    np.testing.assert_array_equal(found.frames[0].animals[0], [[5, 6]])


def test_several_animals_are_kept_apart(tmp_path: Path) -> None:
    found = read_project(project(tmp_path, MULTI + "labeled-data/video/img0.png,1,2,3,4\n"))
    assert [animal.tolist() for animal in found.frames[0].animals] == [[[1, 2]], [[3, 4]]]


def test_a_missing_label_is_no_label(tmp_path: Path) -> None:
    found = read_project(project(tmp_path, SINGLE + "labeled-data/video/img0.png,1,2,,\n"))
    assert np.isnan(found.frames[0].animals[0][1]).all()


def test_a_frame_with_no_labels_has_no_animal(tmp_path: Path) -> None:
    found = read_project(project(tmp_path, SINGLE + "labeled-data/video/img0.png,,,,\n"))
    assert found.frames[0].animals == ()


def test_a_word_in_place_of_a_number_is_named_with_row_and_column(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"CollectedData_me.csv: row 4, column 4 \(tail x\).*'far'"):
        read_project(project(tmp_path, SINGLE + "labeled-data/video/img0.png,1,2,far,4\n"))


def test_a_missing_image_is_named_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"row 4: expected the image .*img9.png"):
        read_project(project(tmp_path, SINGLE + "labeled-data/video/img9.png,1,2,3,4\n"))


def test_a_folder_without_labels_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="CollectedData_<scorer>.csv"):
        read_project(tmp_path)


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="header rows"):
        read_project(project(tmp_path, ""))


def test_headers_without_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="labelled frames"):
        read_project(project(tmp_path, SINGLE))


def test_a_label_outside_its_image_is_refused(tmp_path: Path) -> None:
    found = read_project(project(tmp_path, SINGLE + "labeled-data/video/img0.png,1,2,300,4\n"))
    with pytest.raises(OperatorError, match=r"img0.png: tail: expected a label within 64x48, got \(300.0, 4.0\)"):
        cut_project(found, centres_spec(), parts_spec(found.keypoints))


def test_a_truncated_image_is_refused_by_name(tmp_path: Path) -> None:
    folder = project(tmp_path, SINGLE + "labeled-data/video/img0.png,1,2,3,4\n")
    image = folder / "labeled-data/video/img0.png"
    image.write_bytes(image.read_bytes()[:60])
    with pytest.raises(OperatorError, match="img0.png: expected a whole image"):
        cut_project(read_project(folder), centres_spec(), parts_spec(("snout", "tail")))


def test_labels_land_where_the_crop_shows_them(tmp_path: Path) -> None:
    folder = project(tmp_path, SINGLE + "labeled-data/video/img0.png,20.5,10.5,40.5,30.5\n")
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[10, 20] = picture[30, 40] = 255
    Image.fromarray(picture).save(folder / "labeled-data/video/img0.png")
    data = cut_project(read_project(folder), centres_spec(), parts_spec(("snout", "tail")))
    for x, y, visible in data.keypoints[0]:
        assert visible == 1
        around = data.crops[0, int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2, 0]
        assert around.sum() > 200
