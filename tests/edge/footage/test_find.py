"""Stored pictures and videos become CSVs that DeepLabCut's tools read."""

import csv
import math
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edge.contract.bundle.demo import DEMO_BUNDLE
from edge.footage.command import run
from edge.simulate import Activity, CageSetup, Placement, SimulatedCage, create_population
from edge.vision.image import write_image
from tests.edge.footage.film import write_film

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests/data"
FOOTAGE = Path(os.environ.get("CAGECLOCK_SHARED_DATA", ROOT.parent / "shared/data")) / "openfield/videos"
NOTHING = np.full((480, 640, 3), 200, np.uint8)
Draw = Callable[..., np.ndarray]


@pytest.fixture
def draw(blob_frame) -> Draw:
    """A picture with a blob that the tiny bundle's locator takes for an animal at each of the places."""
    return lambda *places: blob_frame(*places).main if places else NOTHING


def options(out: Path, *sources: Path, **changes) -> SimpleNamespace:
    values = {"bundle": DATA / "tiny.bundle", "key": [DATA / "tiny.pub"], "px_per_mm": 2.0, "animals": 1, "every": 1}
    return SimpleNamespace(sources=list(sources), dlc_csv=out, **{**values, **changes})


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert len({len(row) for row in rows}) == 1
    return rows


def snouts_of(rows: list[list[str]], column: int = 1) -> list[float]:
    """The x of what stands in a column, NaN where it is empty."""
    return [float(row[column] or "nan") for row in rows]


def test_found_parts_and_empty_pictures_have_their_row(tmp_path: Path, draw: Draw) -> None:
    write_image(tmp_path / "a.png", draw((300, 200)))
    write_image(tmp_path / "b.png", NOTHING)
    assert run(options(tmp_path / "out.csv", tmp_path / "a.png", tmp_path / "b.png")) == 0
    rows = rows_of(tmp_path / "out.csv")
    names = ["scorer", "bodyparts", "coords", str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert [row[0] for row in rows] == names
    assert rows[1][1:4] == ["snout"] * 3
    assert rows[2][1:4] == ["x", "y", "likelihood"]
    snout_x, snout_y = float(rows[3][1]), float(rows[3][2])
    assert 300 < snout_x < 400
    assert abs(snout_y - 200) < 20
    assert set(rows[4][1:]) == {""}


def test_a_folder_stands_for_its_pictures_by_name(tmp_path: Path, draw: Draw) -> None:
    folder = tmp_path / "day1"
    folder.mkdir()
    for name in ("b.png", "a.jpg", "c.PNG"):
        write_image(folder / name, draw((300, 200)))
    (folder / "notes.txt").write_text("no picture")
    write_image(tmp_path / "0.png", NOTHING)
    assert run(options(tmp_path / "out.csv", tmp_path / "0.png", folder)) == 0
    named = [row[0] for row in rows_of(tmp_path / "out.csv")[3:]]
    assert named == [str(tmp_path / "0.png"), *(str(folder / name) for name in ("a.jpg", "b.png", "c.PNG"))]


def test_a_videos_rows_are_its_frame_numbers(tmp_path: Path, draw: Draw, capsys: pytest.CaptureFixture[str]) -> None:
    places = [(), (200, 200), (230, 200), (), (290, 200)]
    film = write_film(tmp_path / "film.mp4", [draw(place) if place else draw() for place in places])
    assert run(options(tmp_path / "out.csv", film)) == 0
    rows = rows_of(tmp_path / "out.csv")
    assert [row[0] for row in rows[3:]] == ["0", "1", "2", "3", "4"]
    xs = snouts_of(rows[3:])
    assert [math.isnan(x) for x in xs] == [True, False, False, True, False]
    assert xs[1] < xs[2] < xs[4]
    output = capsys.readouterr()
    assert output.out == f"{tmp_path / 'out.csv'}: an animal in 3 of 5 frames\n"
    assert output.err == ""


def test_every_nth_frame_keeps_its_number(tmp_path: Path, draw: Draw) -> None:
    film = write_film(tmp_path / "film.avi", [draw((200 + 20 * n, 200)) for n in range(8)])
    for every, numbers in ((1, range(8)), (3, range(0, 8, 3)), (100, [0])):
        assert run(options(tmp_path / f"{every}.csv", film, every=every)) == 0
        rows = rows_of(tmp_path / f"{every}.csv")[3:]
        assert [row[0] for row in rows] == [str(number) for number in numbers]
    whole = rows_of(tmp_path / "1.csv")[3:]
    assert rows_of(tmp_path / "3.csv")[3:] == whole[::3]


def test_several_videos_make_a_csv_each(tmp_path: Path, draw: Draw) -> None:
    films = [write_film(tmp_path / f"{name}.mp4", [draw((x, 200))] * 2) for name, x in (("one", 200), ("two", 400))]
    assert run(options(tmp_path / "results", *films)) == 0
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["one.csv", "two.csv"]
    assert min(snouts_of(rows_of(tmp_path / "results/two.csv")[3:])) > 400
    assert run(options(tmp_path / "results", films[0], every=2)) == 0
    assert len(rows_of(tmp_path / "results/one.csv")) == 4


def test_animals_of_a_video_keep_their_columns(tmp_path: Path, draw: Draw) -> None:
    """One is lost for three frames, and comes back to its own column while the other one has moved."""
    left, right = [(150 + 8 * n, 130) for n in range(12)], [(480 - 8 * n, 350) for n in range(12)]
    pictures = [draw(a) if 4 <= n < 7 else draw(a, b) for n, (a, b) in enumerate(zip(left, right, strict=True))]
    film = write_film(tmp_path / "film.mp4", pictures)
    assert run(options(tmp_path / "out.csv", film, animals=2)) == 0
    rows = rows_of(tmp_path / "out.csv")
    assert [row[0] for row in rows[:4]] == ["scorer", "individuals", "bodyparts", "coords"]
    half = 1 + (len(rows[0]) - 1) // 2
    assert set(rows[1][1:half]) == {"animal1"}
    assert set(rows[1][half:]) == {"animal2"}
    assert rows[2][1:half] == rows[2][half:]
    ys = [snouts_of(rows[4:], column) for column in (2, half + 1)]
    upper, lower = ys if ys[0][0] < ys[1][0] else ys[::-1]
    assert all(abs(y - 130) < 25 for y in upper)
    assert [math.isnan(y) for y in lower] == [4 <= n < 7 for n in range(12)]
    assert all(abs(y - 350) < 25 for y in lower if not math.isnan(y))


@pytest.mark.skipif(not DEMO_BUNDLE.exists(), reason="the demo bundle has not been made")
def test_three_simulated_mice_are_found_where_they_are(tmp_path: Path) -> None:
    """The demo's locator on a photograph of three mice: each snout has an animal within 8 mm."""
    setup = CageSetup.from_seed(5, width_px=1280, height_px=960, px_per_mm=4.0)
    width, height = setup.field_mm
    places = [(0.25 * width, 0.3 * height), (0.72 * width, 0.3 * height), (0.5 * width, 0.75 * height)]
    activity = Activity(tuple(Placement("stretched", position_mm=place, heading_rad=0.4) for place in places))
    cage = SimulatedCage("c", create_population(4, 3, born_from=date(2025, 1, 1), born_until=date(2025, 1, 1)), setup)
    at = datetime(2025, 10, 1, 12, tzinfo=UTC)
    seen = cage.photograph(at=at, light="white", zeitgeber_h=15.0, seed=3, activity=activity)
    write_image(tmp_path / "cage.png", seen.image)
    given = options(tmp_path / "out.csv", tmp_path / "cage.png", animals=4, bundle=DEMO_BUNDLE, key=None, px_per_mm=4.0)
    assert run(given) == 0
    row = rows_of(tmp_path / "out.csv")[4]
    found = [(float(row[at]), float(row[at + 1])) for at in range(1, len(row), 12) if row[at]]
    assert len(found) == 3
    for animal in seen.truth.animals:
        x, y, visible = animal.keypoints["snout"]
        assert visible
        assert min(math.dist((x, y), one) for one in found) < 8 * 4.0


@pytest.mark.skipif(not FOOTAGE.is_dir(), reason="the open-field footage is not on this machine")
@pytest.mark.skipif(not DEMO_BUNDLE.exists(), reason="the demo bundle has not been made")
def test_a_real_video_is_gone_through_to_its_end(tmp_path: Path) -> None:
    """The mechanics only: the demo's locator knows simulated mice, and finds the real one in a part of the frames."""
    video = next(FOOTAGE.iterdir())
    for animals in (1, 2):
        given = options(tmp_path / "out.csv", video, every=30, animals=animals, bundle=DEMO_BUNDLE, key=None)
        assert run(SimpleNamespace(**{**vars(given), "px_per_mm": 1.3})) == 0
        rows = rows_of(tmp_path / "out.csv")[3 + (animals > 1) :]
        assert [row[0] for row in rows] == [str(30 * n) for n in range(78)]
        xs = [x for x in snouts_of(rows) if not math.isnan(x)]
        assert len(xs) >= 10
        assert all(-100 < x < 740 for x in xs)


def test_a_longer_video_takes_no_more_memory(tmp_path: Path, draw: Draw, tiny_model) -> None:
    """The frames alone would be 0.9 MB each."""
    picture = draw((300, 200))
    peaks = []
    for frames in (5, 40):
        film = write_film(tmp_path / f"{frames}.mp4", [picture] * frames)
        tracemalloc.start()
        run(options(tmp_path / "out.csv", film))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000


def test_ctrl_c_leaves_no_half_csv_and_ends_with_130(tmp_path: Path, draw: Draw) -> None:
    film = write_film(tmp_path / "film.mp4", [draw((300, 200))] * 300)
    command = [sys.executable, "-m", "edge.cli", "locate", "--bundle", DATA / "tiny.bundle", "--key", DATA / "tiny.pub"]
    out = tmp_path / "results/film.csv"
    out.parent.mkdir()
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    line = [*command, film, "--dlc-csv", out]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, cwd=ROOT, **heard) as process:
        until = time.monotonic() + 60
        while not any(out.parent.iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=300)
    assert process.returncode == 130
    assert output.startswith("cageclock: interrupted")
    assert output.count("\n") == 1
    assert list(out.parent.iterdir()) == []
