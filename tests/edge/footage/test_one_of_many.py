"""What cannot be read costs its own row or file of a `cageclock locate`; all else is read; the exit code shows it."""

import csv
from pathlib import Path

import numpy as np
import pytest

from edge.cli import main
from edge.errors import EXIT_PASSED_OVER
from edge.vision.image import write_image
from tests.edge.footage.film import spoil, write_film

DATA = Path(__file__).parents[2] / "data"
NOISE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)


def locate(*arguments: str) -> int:
    return main(["locate", "--bundle", str(DATA / "tiny.bundle"), "--key", str(DATA / "tiny.pub"), *arguments])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def seen(blob_frame) -> np.ndarray:
    """A picture in which the tiny bundle's locator finds an animal."""
    return blob_frame((300, 200)).main


def rows(path: Path) -> dict[str, bool]:
    """Return each row's name and whether it has an animal, with one width of all rows."""
    with path.open(newline="") as file:
        lines = list(csv.reader(file))
    assert len({len(line) for line in lines}) == 1
    return {line[0]: bool(set(line[1:]) - {"", "NaN"}) for line in lines[3:]}


def test_bad_pictures_of_a_folder_have_empty_rows(
    place: Path, seen: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "day").mkdir()
    for name in ("img1.png", "img2.png", "img10.png"):
        write_image(place / "day" / name, seen)
    (place / "day/img2.png").write_bytes(b"<html>404</html>")
    (place / "day/img3.jpg").write_bytes(b"")
    (place / "day/._img1.png").write_bytes(b"\0\5\x16\7")
    (place / "day/notes.txt").write_text("no picture")
    assert locate("day", "--dlc-csv", "o.csv") == EXIT_PASSED_OVER
    found = rows(place / "o.csv")
    assert list(found) == ["day/img1.png", "day/img2.png", "day/img3.jpg", "day/img10.png"]
    assert list(found.values()) == [True, False, False, True]
    output = capsys.readouterr()
    assert output.out == "o.csv: an animal in 2 of 4 pictures; 2 could not be read\n"
    lines = output.err.splitlines()
    assert lines[0].startswith("cageclock: day/img2.png: expected a whole image")
    assert lines[1].startswith("cageclock: day/img3.jpg: expected a whole image")
    assert lines[2] == ("cageclock: passed over in the folders: names that begin with a dot (1), .txt files (1)")
    assert len(lines) == 3


def test_many_bad_pictures_are_few_lines(place: Path, seen: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(50):
        (place / f"bad{number}.png").write_bytes(b"")
    write_image(place / "good.png", seen)
    assert locate(".", "--dlc-csv", "o.csv") == EXIT_PASSED_OVER
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "cageclock: ... and 30 more, the last: bad49.png"
    assert len(rows(place / "o.csv")) == 51


@pytest.mark.parametrize("shape", [(5, 900), (900, 2), (1, 1), (15, 15), (4000, 16)])
def test_a_picture_that_can_show_nothing_has_its_row(
    place: Path, seen: np.ndarray, shape: tuple[int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """It can be read, so that this is no failure; but it is named."""
    write_image(place / "a.png", np.zeros((*shape, 3), np.uint8))
    write_image(place / "b.png", seen)
    assert locate("a.png", "b.png", "--dlc-csv", "o.csv") == 0
    assert rows(place / "o.csv") == {"a.png": False, "b.png": True}
    output = f"cageclock: a.png, {shape[1]}x{shape[0]}: too small or too narrow to show an animal\n"
    assert capsys.readouterr().err == output


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(16, 16), (16, 640), (640, 16), (17, 33), (40, 1600), (1, 200)])
def test_small_pictures_are_looked_at_without_a_word(place: Path, shape: tuple[int, int]) -> None:
    write_image(place / "a.png", np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8))
    assert locate("a.png", "--dlc-csv", "o.csv") == 0
    assert list(rows(place / "o.csv")) == ["a.png"]


def test_a_guessed_depth_is_reported(place: Path, seen: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image

    grey = seen[..., 0].astype(np.uint16)
    Image.fromarray(grey * 16).save(place / "a.png")
    Image.fromarray(grey * 257).save(place / "b.png")
    assert locate("a.png", "b.png", "--dlc-csv", "o.csv") == 0
    assert rows(place / "o.csv") == {"a.png": True, "b.png": True}
    output = "cageclock: brightness was scaled by a depth that the files do not state: 12 bits in 16 (1); see docs/"
    assert capsys.readouterr().err.startswith(output)


def test_a_frame_that_cannot_be_decoded_has_an_empty_row(
    place: Path, seen: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [np.roll(seen, number, axis=1) for number in range(8)]
    spoil(write_film(place / "film.avi", pictures, codec="mjpeg"), [0, 3, 4, 6])
    assert locate("film.avi", "--dlc-csv", "o.csv") == EXIT_PASSED_OVER
    assert rows(place / "o.csv") == {str(number): number not in (0, 3, 4, 6) for number in range(8)}
    output = capsys.readouterr()
    assert output.out == "o.csv: an animal in 4 of 8 frames; 4 could not be read\n"
    assert output.err.startswith("cageclock: film.avi: frame 0 cannot be decoded (")
    assert output.err.endswith("empty rows: 0, 3-4, 6\n")
    assert locate("film.avi", "--every", "5", "--dlc-csv", "o.csv") == EXIT_PASSED_OVER
    assert rows(place / "o.csv") == {"0": False, "5": True}


def test_the_next_video_is_looked_at(place: Path, seen: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        write_film(place / name, [seen] * 3)
    (place / "b.mp4").write_text("no film\n" * 100)
    assert locate("a.mp4", "b.mp4", "c.mp4", "--dlc-csv", "results") == EXIT_PASSED_OVER
    assert sorted(path.name for path in (place / "results").iterdir()) == ["a.csv", "c.csv"]
    assert rows(place / "results/c.csv") == {"0": True, "1": True, "2": True}
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("cageclock: b.mp4 is no video that PyAV can open")
    assert lines[1] == "cageclock: 1 of 3 videos could not be read, and have no CSV"


def test_where_nothing_can_be_read_it_is_an_error(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.mp4", "b.mp4"):
        (place / name).write_text("no film\n" * 100)
    assert locate("a.mp4", "b.mp4", "--dlc-csv", "results") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("cageclock: none of the 2 videos could be read")
    spoil(write_film(place / "c.avi", [NOISE, NOISE[::-1].copy()], codec="mjpeg"), [0, 1])
    assert locate("c.avi", "--dlc-csv", "c.csv") == 2
    assert not (place / "c.csv").exists()


def test_videos_of_one_stem_have_a_csv_each(place: Path, seen: np.ndarray) -> None:
    names = ["a.mp4", "a.mkv", "b.mp4"]
    for name in names:
        write_film(place / name, [seen] * 2)
    assert locate(*names, "--dlc-csv", "o") == 0
    assert sorted(path.name for path in (place / "o").iterdir()) == ["a.mkv.csv", "a.mp4.csv", "b.csv"]


def test_a_name_that_looks_like_an_option_is_a_name(place: Path, seen: np.ndarray) -> None:
    """As `*.mp4` gives them; what is an option stays one, and so does what it takes."""
    names = ["-a.mp4", "--every.mp4", "-h.mp4", "--every=2"]
    for name in names[:3]:
        write_film(place / name, [seen] * 2)
    (place / "--every=2").write_text("no film")
    assert locate(*names, "--dlc-csv", "o") == 0
    assert sorted(path.name for path in (place / "o").iterdir()) == ["--every.csv", "-a.csv", "-h.csv"]
    assert list(rows(place / "o/-a.csv")) == ["0"]
