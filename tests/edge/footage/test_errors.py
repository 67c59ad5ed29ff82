"""What `cageclock locate` cannot look at, or write, is one clear error and no CSV."""

import sys
from pathlib import Path

import numpy as np
import pytest

from edge.cli import main
from edge.errors import EXIT_PASSED_OVER
from edge.vision.image import write_image
from tests.edge.footage.film import write_film

DATA = Path(__file__).parents[2] / "data"
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 1), np.uint8).repeat(10, 0).repeat(10, 1).repeat(3, 2)
NOTHING = np.full((480, 640, 3), 200, np.uint8)


def locate(*arguments: str) -> int:
    return main(["locate", "--bundle", str(DATA / "tiny.bundle"), "--key", str(DATA / "tiny.pub"), *arguments])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one of everything that can be given; the current one."""
    write_image(tmp_path / "a.png", NOTHING)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no film\n" * 1000)
    write_film(tmp_path / "film.mp4", [NOTHING] * 2)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/film.mp4").write_bytes((tmp_path / "film.mp4").read_bytes())
    write_film(tmp_path / "other.mp4", [NOTHING] * 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("none.png --dlc-csv o.csv", "none.png does not exist; name pictures, folders of pictures or videos"),
        ("a.png none.mp4 --dlc-csv o.csv", "none.mp4 does not exist"),
        (f"{300 * 'x'}.png --dlc-csv o.csv", f"{300 * 'x'}.png cannot be looked at: File name too long"),
        (f"a.png --dlc-csv {300 * 'x'}.csv", f"{300 * 'x'}.csv: cannot write the CSV: File name too long"),
        ("empty --dlc-csv o.csv", "empty holds no images (.png, "),
        ("copy --dlc-csv o.csv", "copy holds no images"),
        ("text.png --dlc-csv o.csv", "text.png: expected a whole image"),
        (
            "text.png text.png --dlc-csv o.csv",
            "pictures: none of 2 could be read; the first: text.png: expected a whole",
        ),
        ("text.mp4 --dlc-csv o.csv", "text.mp4 is no video that PyAV can open"),
        ("film.mp4 a.png --dlc-csv o.csv", "expected pictures or videos, got both: a.png and film.mp4"),
        ("film.mp4 other.mp4 --dlc-csv o.csv", "--dlc-csv: expected a folder, as 2 videos make a CSV each"),
        ("film.mp4 other.mp4 --dlc-csv a.png", "--dlc-csv: expected the name of a CSV to write, got a.png"),
        ("film.mp4 --dlc-csv other.mp4", "--dlc-csv: expected the name of a CSV to write, got other.mp4"),
        ("film.mp4 copy/film.mp4 --dlc-csv o", "film.mp4 and copy/film.mp4 would both be written to o/film.mp4.csv"),
        ("a.png --dlc-csv empty", "--dlc-csv: expected a file for the rows of all pictures, got the folder empty"),
        ("a.png --dlc-csv none/o.csv", "none/o.csv: cannot write the CSV: No such file or directory"),
        ("a.png --every 2 --dlc-csv o.csv", "--every 2: leaves out frames of a video, but the sources are pictures"),
        ("a.png --animals 11 --dlc-csv o.csv", "--animals: expected 1 to 10, got 11"),
        ("a.png --px-per-mm 0 --dlc-csv o.csv", "--px-per-mm: expected a number above 0 and below 1000, got 0"),
    ],
)
def test_bad_input_is_one_clear_error(
    place: Path, arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted((path, path.stat().st_size) for path in place.rglob("*"))
    assert locate(*arguments.split()) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"cageclock: {message}")
    assert output.err.count("\n") == 1
    assert output.out == ""
    assert sorted((path, path.stat().st_size) for path in place.rglob("*")) == before


@pytest.mark.parametrize("option", ["--animals", "--every"])
def test_none_is_too_few(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        locate("a.png", "--dlc-csv", "o.csv", option, "0")
    assert ended.value.code == 2
    assert f"argument {option}: expected a whole number of at least 1, got '0'" in capsys.readouterr().err


def test_the_package_that_decodes_videos_is_named_where_it_is_missing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert locate("film.mp4", "--dlc-csv", "o.csv") == 2
    assert "film.mp4: a video needs the package av (PyAV)" in capsys.readouterr().err
    assert locate("a.png", "--dlc-csv", "o.csv") == 0


def test_a_damaged_video_leaves_no_csv(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cut off in the middle: the index at an MP4's end is missing."""
    (place / "cut.mp4").write_bytes((place / "film.mp4").read_bytes()[:-300])
    assert locate("cut.mp4", "--dlc-csv", "o.csv") == 2
    assert capsys.readouterr().err.startswith("cageclock: cut.mp4")
    assert not (place / "o.csv").exists()


def test_a_video_that_ends_early_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Matroska file that was cut off can be read as far as it goes."""
    whole = write_film(place / "whole.mkv", [np.roll(NOISE, 9 * n, axis=1) for n in range(20)]).read_bytes()
    (place / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    assert locate("cut.mkv", "--dlc-csv", "o.csv") == EXIT_PASSED_OVER
    frames = len((place / "o.csv").read_text().splitlines()) - 3
    assert 1 <= frames <= 15
    ends = f"its frames end after {frames / 10:.1f} s of the 2.0 s that the file states; is the file complete?"
    assert capsys.readouterr().err == f"cageclock: cut.mkv: {ends}\n"
    assert locate("whole.mkv", "--dlc-csv", "o.csv") == 0
    assert capsys.readouterr().err == ""


def test_a_bundle_that_is_not_there_is_the_senders_error(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", NOTHING)
    given = [str(tmp_path / "a.png"), "--bundle", "none.bundle", "--dlc-csv", str(tmp_path / "o.csv")]
    assert main(["locate", *given]) == 3
