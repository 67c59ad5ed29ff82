"""The CSV has the structure that DeepLabCut writes and pandas reads, and is whole or not there."""

from pathlib import Path

import numpy as np
import pytest

from edge.contract.reading import Keypoint
from edge.errors import OperatorError
from edge.footage.deeplabcut_csv import KeypointCsv
from training.deeplabcut.read import read_project

PARTS = ("snout", "tail_base")
COORDS = ("x", "y", "likelihood")
LEVELS = {1: ["scorer", "bodyparts", "coords"], 3: ["scorer", "individuals", "bodyparts", "coords"]}


def animal(x: float) -> tuple[Keypoint, ...]:
    return tuple(Keypoint(part=part, x=x + n, y=20.25, likelihood=0.5) for n, part in enumerate(PARTS))


def write(out: Path, rows: dict[str, list[tuple[Keypoint, ...]]], animals: int = 1) -> Path:
    with KeypointCsv(out, PARTS, "cageclock_x", animals) as table:
        for name, found in rows.items():
            table.add(name, found)
    return out


@pytest.mark.parametrize("animals", [1, 3])
def test_pandas_reads_the_headers_that_deeplabcut_writes(tmp_path: Path, animals: int) -> None:
    """DeepLabCut's own table is a DataFrame with these levels, written by `to_csv`."""
    pandas = pytest.importorskip("pandas")
    individuals = [[f"animal{n + 1}" for n in range(animals)]] if animals > 1 else []
    columns = pandas.MultiIndex.from_product([["cageclock_x"], *individuals, PARTS, COORDS], names=LEVELS[animals])
    theirs = pandas.DataFrame(np.full((3, len(columns)), 1.5), columns=columns)
    theirs.iloc[1, 6:] = np.nan
    theirs.to_csv(tmp_path / "theirs.csv")
    first, second = [animal(10)] * animals, [animal(30), *[()] * (animals - 1)]
    write(tmp_path / "ours.csv", {"0": first, "1": second, "2": first}, animals)
    header = list(range(len(LEVELS[animals])))
    read = [pandas.read_csv(tmp_path / name, header=header, index_col=0) for name in ("ours.csv", "theirs.csv")]
    assert read[0].columns.equals(read[1].columns)
    assert list(read[0].columns.names) == LEVELS[animals]
    assert read[0].index.equals(read[1].index)
    assert read[0].isna().equals(read[1].isna())
    lines = [(tmp_path / name).read_text().splitlines()[: len(header)] for name in ("ours.csv", "theirs.csv")]
    assert lines[0] == lines[1]


@pytest.mark.parametrize("animals", [1, 3])
def test_a_first_row_without_an_animal_is_not_lost(tmp_path: Path, animals: int) -> None:
    """pandas takes a row of empty cells below several headers for the name of the index."""
    pandas = pytest.importorskip("pandas")
    out = write(tmp_path / "out.csv", {"0": [()] * animals, "1": [()] * animals, "2": [animal(5)] * animals}, animals)
    read = pandas.read_csv(out, header=list(range(len(LEVELS[animals]))), index_col=0)
    assert list(read.index) == [0, 1, 2]
    assert read.iloc[:2].isna().all(axis=None)
    assert read.iloc[2].notna().all()
    assert set(out.read_text().splitlines()[len(LEVELS[animals]) + 1].split(",")[1:]) == {""}


@pytest.mark.parametrize("animals", [1, 3])
def test_our_own_reader_of_labelled_projects_reads_it(tmp_path: Path, animals: int) -> None:
    """Corrected by hand it can be trained on: the same animals and places come back."""
    folder = tmp_path / "labeled-data" / "film"
    folder.mkdir(parents=True)
    for name in ("img0.png", "img1.png"):
        (folder / name).touch()
    found = [animal(10.5 + 100 * n) for n in range(animals)]
    rows = {"labeled-data/film/img0.png": [()] * animals, "labeled-data/film/img1.png": found}
    write(folder / "CollectedData_cageclock.csv", rows, animals)
    project = read_project(tmp_path)
    assert project.keypoints == PARTS
    assert [frame.image.name for frame in project.frames] == ["img1.png"]
    places = np.array([[[point.x, point.y] for point in one] for one in found])
    assert np.array_equal(np.array(project.frames[0].animals), places)


def test_an_interrupted_run_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("of yesterday")

    def interrupted() -> None:
        with KeypointCsv(out, PARTS, "x") as table:
            table.add("0", [animal(1)])
            assert out.read_text() == "of yesterday"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.read_text() == "of yesterday"
    assert list(tmp_path.iterdir()) == [out]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("real.csv")
    write(tmp_path / "link.csv", {"0": [animal(1)]})
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("scorer,")


def test_where_nothing_can_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot write the CSV: No such file"):
        write(tmp_path / "missing/out.csv", {})


def test_a_full_disk_is_one_error() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OperatorError, match="/dev/full: cannot write the CSV: No space left"):
        write(full, {"0": [animal(1)]})
    assert full.is_char_device()
