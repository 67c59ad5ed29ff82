"""What a DeepLabCut project's config.yaml says of its labels, and what is no label of an animal."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from edge.errors import OperatorError
from tests.training.labelled_project import PARTS, make_project
from training.deeplabcut.frames import cut_project, scale_of
from training.deeplabcut.read import Project, learnable, read_project
from training.deeplabcut.write import Suggestion, write_project
from training.locator.drawings import draw_worst
from training.networks.shapes import centres_spec, parts_spec


def one_animal(*rows: str, parts: str = "snout,snout,tailbase,tailbase") -> str:
    """Return a table of one animal; rows are cells behind the picture's name, which is img0, img1, ..."""
    count = parts.count(",") + 1
    head = f"scorer{',Ann' * count}\nbodyparts,{parts}\ncoords{',x,y' * (count // 2)}\n"
    return head + "".join(f"labeled-data/m1/img{n}.png,{row}\n" for n, row in enumerate(rows))


def project(
    folder: Path, text: str, config: dict[str, object] | str | None = None, video: str = "m1", images: int = 4
) -> Path:
    """Write a project's folder of 64x48 pictures; `config` as its config.yaml."""
    labels = folder / "labeled-data" / video
    labels.mkdir(parents=True, exist_ok=True)
    (labels / "CollectedData_Ann.csv").write_text(text)
    for number in range(images):
        Image.new("RGB", (64, 48), (number * 20, 90, 90)).save(labels / f"img{number}.png")
    if config is not None:
        (folder / "config.yaml").write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return folder


def warned(found: Project, *parts: str) -> bool:
    """Return whether one warning holds all the parts."""
    return any(all(part in text for part in parts) for text in found.warnings)


ARENA = """scorer,Ann,Ann,Ann,Ann,Ann,Ann,Ann,Ann
individuals,mus1,mus1,mus1,mus1,single,single,single,single
bodyparts,snout,snout,tailbase,tailbase,corner1,corner1,corner2,corner2
coords,x,y,x,y,x,y,x,y
labeled-data/m1/img0.png,10,20,30,25,1,1,60,40
labeled-data/m1/img1.png,,,,,1,1,60,40
labeled-data/m1/img2.png,12,20,32,25,,,60,40
"""


@pytest.mark.parametrize(("with_config", "spelling"), [(True, "single"), (False, "single"), (False, "Single")])
def test_project_wide_points_are_no_animal(tmp_path: Path, with_config: bool, spelling: str) -> None:
    """DeepLabCut keeps the arena's corners under the individual `single`: no animal, no part, no crop of its own."""
    config = {
        **{"multianimalproject": True, "scorer": "Ann", "bodyparts": "MULTI!", "individuals": ["mus1"]},
        **{"multianimalbodyparts": ["snout", "tailbase"], "uniquebodyparts": ["corner1", "corner2"]},
    }
    found = read_project(project(tmp_path, ARENA.replace("single", spelling), config if with_config else None))
    assert found.keypoints == ("snout", "tailbase")
    assert [frame.image.name for frame in found.frames] == ["img0.png", "img2.png"]
    assert [len(frame.animals) for frame in found.frames] == [1, 1]
    assert warned(found, "individual `single`", ": 5, the first in row 5, column 6 (corner1)")
    data = cut_project(found, centres_spec(), parts_spec(found.keypoints))
    assert len(data.crops) == 2
    np.testing.assert_allclose(data.centres[0, 0] / (160 / 64, 120 / 48), (20, 22.5), rtol=1e-5)


def test_a_table_of_nothing_but_single_is_refused(tmp_path: Path) -> None:
    """If it is the animal's name or the arena's cannot be known: the user says it."""
    text = ARENA.replace("mus1", "single").replace("corner1", "a").replace("corner2", "b")
    with pytest.raises(OperatorError, match=r"row individuals: expected animals, got only `single`.*another name"):
        read_project(project(tmp_path, text))


@pytest.mark.parametrize(
    ("cell", "kind"),
    [("0,0", "labels at (0, 0)"), ("0.0,0.00", "labels at (0, 0)"), ("-1,-1", "negative"), ("-1,20", "negative"),
     ("5,-0.5", "negative")],
)  # fmt: skip
def test_zero_and_negative_places_are_not_labelled(tmp_path: Path, cell: str, kind: str) -> None:
    """Other tools write (0, 0) or (-1, -1) for what is not there; they are counted, and the first is shown."""
    rows = (f"{cell},30,25", "10,20,30,25", f"11,20,{cell}", f"{cell},{cell}")
    found = read_project(project(tmp_path, one_animal(*rows)))
    missing = [np.isnan(frame.animals[0]).all(axis=1).tolist() for frame in found.frames]
    assert missing == [[True, False], [False, False], [False, True]], "a picture without any label is left out"
    assert warned(found, kind, ": 4, the first in row 4, column 2 (snout)")
    assert scale_of(found) != 0
    shown = cut_project(found, centres_spec(), parts_spec(found.keypoints)).keypoints
    assert shown[0, 0, 2] == 0


def test_a_label_on_one_edge_is_a_label(tmp_path: Path) -> None:
    """x or y may be 0 where the other is not."""
    found = read_project(project(tmp_path, one_animal("0,20,30,0")))
    np.testing.assert_array_equal(found.frames[0].animals[0], [[0, 20], [30, 0]])
    assert found.warnings == ()


@pytest.mark.parametrize("first", ["", "sep=;\n"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_that_a_spreadsheet_saved_anew_is_the_same(tmp_path: Path, separator: str, first: str) -> None:
    """With semicolons its numbers have commas, as where Excel is set to German."""
    text = one_animal("10.5,20.25,30,40", "11,21,31.5,41")
    project(tmp_path / "a", text)
    spread = text.replace(",", separator)
    if separator == ";":
        spread = spread.replace(".", ",").replace(",png", ".png")
    project(tmp_path / "b", first.replace(";", separator) + spread)
    one, other = read_project(tmp_path / "a"), read_project(tmp_path / "b")
    assert len(one.frames) == len(other.frames) == 2
    for left, right in zip(one.frames, other.frames, strict=True):
        np.testing.assert_array_equal(left.animals, right.animals)


def test_rows_of_deleted_pictures_cost_only_themselves(tmp_path: Path) -> None:
    """DeepLabCut's users delete bad pictures and not their rows; an unlabelled row of one is nothing to speak of."""
    folder = project(tmp_path, one_animal("1,2,3,4", "1,2,3,4", "1,2,3,4", ",,,"))
    for number in (0, 1, 3):
        (folder / f"labeled-data/m1/img{number}.png").unlink()
    found = read_project(folder)
    assert [frame.image.name for frame in found.frames] == ["img2.png"]
    assert warned(found, "without their picture are passed over: 2, the first in row 4, labeled-data/m1/img0.png")


def test_the_settings_choose_and_order_the_parts(tmp_path: Path) -> None:
    """A part that they do not name is left out with its labels counted; one that no table has is warned of."""
    config = {"scorer": "Ann", "bodyparts": ["tailbase", "tip", "snout"], "skeleton": [["snout", "tailbase"]]}
    text = one_animal("1,2,3,4,5,6", "1,2,3,4,,", parts="snout,snout,tailbase,tailbase,ear,ear")
    found = read_project(project(tmp_path, text, config))
    assert found.keypoints == ("tailbase", "tip", "snout")
    np.testing.assert_array_equal(found.frames[0].animals[0], [[3, 4], [np.nan, np.nan], [1, 2]])
    assert found.frames[0].columns == ((4, 0, 2),)
    assert warned(found, "config.yaml does not name", ": 1, in row 4, column 6 (ear)")
    assert warned(found, "never labelled", "tip")
    assert found.skeleton == (("snout", "tailbase"),)


def test_a_part_that_is_never_labelled_is_warned_of(tmp_path: Path) -> None:
    """Nothing can be learned of it: it is named, and what is trained leaves it out; the others keep their columns."""
    found = read_project(project(tmp_path, one_animal(",,3,4", ",,5,6"), {"skeleton": [["snout", "tailbase"]]}))
    assert found.keypoints == ("snout", "tailbase")
    assert warned(found, "1 body part is never labelled", ": snout")
    kept = learnable(found)
    assert (kept.keypoints, kept.skeleton, kept.warnings) == (("tailbase",), (), found.warnings)
    np.testing.assert_array_equal(kept.frames[1].animals[0], [[5, 6]])
    assert kept.frames[1].columns == ((4,),)


def test_tables_may_lack_parts_that_the_settings_name(tmp_path: Path) -> None:
    """A part added to the project later has no column in the older tables."""
    project(tmp_path, one_animal("1,2,3,4"), {"bodyparts": ["snout", "tailbase", "ear"], "scorer": "Ann"})
    later = one_animal("1,2,3,4,5,6", parts="snout,snout,tailbase,tailbase,ear,ear")
    found = read_project(project(tmp_path, later.replace("/m1/", "/m2/"), video="m2"))
    assert found.keypoints == ("snout", "tailbase", "ear")
    assert np.isnan(found.frames[0].animals[0][2]).all()
    np.testing.assert_array_equal(found.frames[1].animals[0][2], (5, 6))


def test_the_scorer_of_the_settings_is_the_one_who_counts(tmp_path: Path) -> None:
    """Of several people's tables, or columns side by side, one person's are read; the others' are named."""
    folder = project(tmp_path, one_animal("1,2,3,4"), {"scorer": "Ann", "bodyparts": ["snout", "tailbase"]})
    (folder / "labeled-data/m1/CollectedData_Bob.csv").write_text(one_animal("9,9,9,9").replace("Ann", "Bob"))
    found = read_project(folder)
    np.testing.assert_array_equal(found.frames[0].animals[0], [[1, 2], [3, 4]])
    assert warned(found, "CollectedData_Bob.csv: not of Ann")
    (folder / "config.yaml").write_text("scorer: Cid\nbodyparts: [snout, tailbase]\n")
    with pytest.raises(OperatorError, match=r"labels of Cid.*CollectedData_Ann\.csv, CollectedData_Bob\.csv"):
        read_project(folder)


def test_columns_of_several_scorers(tmp_path: Path) -> None:
    both = one_animal("1,2,3,4,11,12,13,14", parts="snout,snout,tailbase,tailbase,snout,snout,tailbase,tailbase")
    text = both.replace(",Ann" * 8, ",Ann" * 4 + ",Bob" * 4)
    with pytest.raises(OperatorError, match="row scorer: expected one scorer, got Ann, Bob"):
        read_project(project(tmp_path, text))
    found = read_project(project(tmp_path, text, {"scorer": "Bob", "bodyparts": ["snout", "tailbase"]}))
    np.testing.assert_array_equal(found.frames[0].animals[0], [[11, 12], [13, 14]])


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\Ann\mice\labeled-data\m1\img0.png",
        "/home/ann/mice/labeled-data/m1/img0.png",
        "labeled-data,m1,img0.png",
        "labeled-data/m1/IMG0.PNG",
        "labeled-data/an-old-name/img0.png",
    ],
)
def test_a_picture_is_found_wherever_its_row_was_written(tmp_path: Path, path: str) -> None:
    """Absolute paths of another computer, Windows' ones, split ones, other case, and a folder's old name."""
    pad = "," * path.count(",")
    text = f"scorer{pad},A,A\nbodyparts{pad},snout,snout\ncoords{pad},x,y\n{path},3,4\n"
    found = read_project(project(tmp_path, text))
    assert found.frames[0].image == tmp_path / "labeled-data/m1/img0.png"
    assert found.warnings == ()


def test_two_pictures_that_a_row_could_mean_are_refused(tmp_path: Path) -> None:
    """A copied table names the first video's pictures, while its own lie beside it."""
    project(tmp_path, one_animal("1,2,3,4"))
    project(tmp_path, one_animal("1,2,3,4"), video="m2")
    with pytest.raises(OperatorError, match=r"row 4, column 1: expected one picture, got two.*m1.img0\.png.*m2.img0"):
        read_project(tmp_path)


def test_a_spreadsheets_empty_columns_are_nothing(tmp_path: Path) -> None:
    """Saved by a spreadsheet, every row has the same number of cells, some behind the last."""
    text = one_animal("1,2,3,4").replace("\n", ",,,\n")
    found = read_project(project(tmp_path, text))
    assert found.keypoints == ("snout", "tailbase")
    assert found.warnings == ()


def test_unlikely_labels_are_spoken_of(tmp_path: Path) -> None:
    """A table with likelihoods is a network's; the bounds of the settings say which look like nobody's."""
    text = "scorer,A,A,A\nbodyparts,snout,snout,snout\ncoords,x,y,likelihood\n"
    text += "labeled-data/m1/img0.png,1,2,0.95\nlabeled-data/m1/img1.png,1,2,0.7\n"
    folder = project(tmp_path, text, {"scorer": "A", "pcutoff": 0.8})
    assert warned(read_project(folder), "likelihood below 0.8", ": 1, in row 5", "likelihood 0.7")


def test_labels_that_are_only_hdf5_are_not_forgotten(tmp_path: Path) -> None:
    """Where one video has a CSV and another only the HDF5, the second's labels are named as not read."""
    folder = project(tmp_path, one_animal("1,2,3,4"))
    (folder / "labeled-data/m2").mkdir()
    (folder / "labeled-data/m2/CollectedData_Ann.h5").write_bytes(b"\x89HDF")
    assert warned(read_project(folder), "m2/CollectedData_Ann.h5", "passed over")


def test_videos_at_other_scales_are_warned_of(tmp_path: Path) -> None:
    project(tmp_path, one_animal("1,2,11,2"))
    assert read_project(tmp_path).warnings == ()
    project(tmp_path, one_animal("1,2,40,2").replace("/m1/", "/m2/"), video="m2")
    assert warned(read_project(tmp_path), "animals of m2 span 39 pixels, those of m1 10")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("bodyparts: [snout\nscorer: Ann", "config.yaml: expected YAML"),
        ('project_path: "C:\\Users\\Ann"', "config.yaml: expected YAML"),
        ("just words", "expected keys such as scorer"),
        ({"bodyparts": "snout"}, "key bodyparts: expected a list of names, got 'snout'"),
        ({"bodyparts": ["snout", "snout"]}, "key bodyparts: expected each name once, got 'snout'"),
        ({"bodyparts": ["snout", "tailbase"], "skeleton": "snout"}, "key skeleton: expected a list of pairs"),
        ({"bodyparts": ["nose", "tail"]}, r"config.yaml names \(nose, tail\), got snout, tailbase"),
    ],
)
def test_settings_that_cannot_be_used_are_one_error(tmp_path: Path, config: object, said: str) -> None:
    """The error names the key, and what to do."""
    assert isinstance(config, str | dict)
    with pytest.raises(OperatorError, match=said):
        read_project(project(tmp_path, one_animal("1,2,3,4"), config))


def test_leftovers_in_the_skeleton_are_left_out(tmp_path: Path) -> None:
    """DeepLabCut's template joins parts that nobody has; bones of several parts are pairs."""
    config = {"bodyparts": ["snout", "tailbase"], "skeleton": [["bodypart1", "bodypart2"], ["snout", "tailbase"]]}
    found = read_project(project(tmp_path, one_animal("1,2,3,4"), config))
    assert found.skeleton == (("snout", "tailbase"),)
    assert warned(found, "key skeleton", "bodypart1, bodypart2")


def test_what_we_write_ourselves_is_read_without_a_warning(tmp_path: Path) -> None:
    points = np.tile([[10.0, 20, 0.9], [30, 40, 0.9], [35, 5, 0.9], [50, 60, 0.8]], (2, 1, 1))
    points[1, :, 0] += 5
    shown = Suggestion("v1", "img7.png", np.zeros((90, 120, 3), np.uint8), points)
    write_project(tmp_path / "p", [shown], PARTS, [Path("v1.mp4")], "Ann")
    found = read_project(tmp_path / "p")
    assert (found.warnings, len(found.frames[0].animals)) == ((), 2)
    assert found.skeleton == tuple(pairwise(PARTS))


def test_the_command_says_what_was_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`locator` prints each kind once, before it trains or, as here, finds too little to train on."""
    from training.cli import main

    folder = make_project(tmp_path / "p", frames=5)
    (folder / "labeled-data/v1/img003.png").unlink()
    assert main(["locator", "--dlc", str(folder), "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert error.count("warning: ") == 1
    assert "without their picture are passed over: 1, in row 7" in error
    assert "expected at least 5 labelled frames, got 4" in error


def test_the_skeleton_joins_the_labels_in_the_drawing(tmp_path: Path) -> None:
    """The worst frames of the report show which labels belong together."""
    config = {"bodyparts": ["snout", "tailbase"], "skeleton": [["snout", "tailbase"]]}
    found = read_project(project(tmp_path, one_animal("10,24,50,24"), config))
    data = cut_project(found, centres_spec(), parts_spec(found.keypoints))
    truth = np.stack(found.frames[0].animals)
    nothing = np.full((1, 2, 3), np.nan)
    drawings = []
    for which in (found, replace(found, skeleton=())):
        draw_worst(tmp_path / "worst.png", which, data, nothing, truth, np.ones((1, 2)))
        drawings.append(np.asarray(Image.open(tmp_path / "worst.png").convert("RGB")))
    changed = (drawings[0] != drawings[1]).any(axis=-1)
    assert changed.any(axis=0).sum() > 50
    assert changed.any(axis=1).sum() <= 3


def test_names_that_yaml_takes_for_something_else_are_names(tmp_path: Path) -> None:
    """To YAML 1.1 `on` is a truth value, 007 the number 7, 1_2 the number 12, and 1:30 the number 90."""
    parts = "on,on,007,007,1_2,1_2,1:30,1:30"
    settings = "scorer: Ann\nmultianimalproject: false\nbodyparts:\n- on\n- 007\n- 1_2\n- 1:30\nskeleton: [[on, 007]]\n"
    text = one_animal("1,2,3,4,5,6,7,8", parts=parts)
    found = read_project(project(tmp_path, text, settings + "pcutoff: 0.5\nuniquebodyparts:\n"))
    assert found.keypoints == ("on", "007", "1_2", "1:30")
    assert found.skeleton == (("on", "007"),)
    assert found.warnings == ()
