"""Pictures and videos that other people's cameras and disks made, where they lie beside the repository."""

from __future__ import annotations

import csv
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge.camera.protocol import Shot
from edge.camera.replay import ReplayCamera
from edge.cli import main
from edge.config.tree import Camera, ReplaySettings
from edge.contract.bundle.demo import DEMO_BUNDLE
from edge.contract.reading import Light
from edge.errors import EXIT_PASSED_OVER, EndOfReplay, UnreadablePicture
from edge.footage.video import Video
from edge.timing.clock import SteppedClock

ROOT = Path(__file__).parents[2]
CASES = Path(os.environ.get("CAGECLOCK_FIELD_CASES", ROOT.parent / "shared/field-cases"))

pytestmark = [
    pytest.mark.skipif(not CASES.is_dir(), reason="the field cases are not on this machine"),
    pytest.mark.skipif(not DEMO_BUNDLE.exists(), reason="the demo bundle has not been made"),
]


def case(name: str, *files: str) -> list[Path]:
    """Return a case's files by name or pattern.

    A case that the folder lacks is skipped, by name.
    """
    folder = CASES / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not among the field cases")
    return [found for file in files for found in sorted(folder.glob(file))]


def locate(out: Path, *sources: Path | str, every: int = 1) -> tuple[int, list[list[str]]]:
    """Return the exit code and the CSV's rows below its three headers."""
    options = ["--bundle", str(DEMO_BUNDLE), "--px-per-mm", "4", "--dlc-csv", str(out), "--every", str(every)]
    code = main(["locate", *options, *map(str, sources)])
    with out.open(newline="") as file:
        return code, list(csv.reader(file))[3:]


def frames(path: Path) -> list[np.ndarray | None]:
    """Return every frame of a film, None for one that cannot be decoded."""
    found: list[np.ndarray | None] = []
    for moment in Video(path, 30.0):
        try:
            found.append(moment.read())
        except UnreadablePicture:
            found.append(None)
    return found


def place(row: list[str]) -> tuple[float, float]:
    """Return where the first body part (the snout) is."""
    return float(row[1]), float(row[2])


def test_turned_pictures_have_the_same_animal(tmp_path: Path) -> None:
    code, rows = locate(tmp_path / "o.csv", *case("P1-exif", "*.png", "*.jpg", "*.webp", "*.tif"))
    assert code == 0
    assert len(rows) >= 10
    assert all(place(row) == pytest.approx((347, 371), abs=3) for row in rows)


def test_deep_grey_has_the_same_animal(tmp_path: Path) -> None:
    code, rows = locate(tmp_path / "o.csv", *case("P2-grey16", "*.png", "*.tif", "*.pgm"))
    assert code == 0
    assert all(place(row) == pytest.approx((347, 371), abs=3) for row in rows)


@pytest.mark.parametrize(
    ("name", "code", "names"),
    [
        ("P5-appledouble", 0, ["a.png", "b.png"]),
        ("P6-one-bad-picture", EXIT_PASSED_OVER, ["a.png", "b.jpg", "c.jpg", "d.jpg", "e.png"]),
        ("P8-natural-order", 0, ["img1.png", "img2.png", "img10.png"]),
        ("P9-degenerate", 0, ["a_900x5.png", "b_2x900.png", "c_1x1.png", "d_good.png"]),
    ],
)
def test_a_folder_has_a_row_a_picture(tmp_path: Path, name: str, code: int, names: list[str]) -> None:
    found, rows = locate(tmp_path / "o.csv", *case(name, "folder"))
    assert found == code
    assert [Path(row[0]).name for row in rows] == names
    assert rows[-1][1]


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        ("rot90.mp4", lambda frame: np.rot90(frame, 1)),
        ("rot90.mov", lambda frame: np.rot90(frame, 1)),
        ("rot90.mkv", lambda frame: np.rot90(frame, 1)),
        ("rot180.mp4", lambda frame: np.rot90(frame, 2)),
        ("rot270.mp4", lambda frame: np.rot90(frame, 3)),
        ("hflip.mp4", lambda frame: frame[:, ::-1]),
    ],
)
def test_turned_films_are_the_plain_one(name: str, turned) -> None:
    (plain,) = case("V1-rotation", "plain.mp4")
    (film,) = case("V1-rotation", name)
    np.testing.assert_array_equal(frames(film)[7], turned(frames(plain)[7]))


@pytest.mark.parametrize(
    ("name", "file", "count"),
    [
        ("V3-cover-art", "*.mkv", 30), ("V5-colon-name", "*.mp4", 30), ("V10-edit-list", "*.mp4", 15),
        ("V11-suggest-mkv", "*.mkv", 30), ("V11-suggest-mkv", "*.ts", 30), ("V11-suggest-mkv", "*.webm", 30),
    ],
)  # fmt: skip
def test_films_have_the_frames_that_a_player_shows(name: str, file: str, count: int) -> None:
    (film,) = case(name, file)
    video = Video(film, 30.0)
    assert len(list(video)) == count
    assert (video.count, video.count_frames(), video.shortfall) == (count, count, "")
    assert frames(film)[0].shape == (480, 640, 3)


def test_a_name_with_colons_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (film,) = case("V5-colon-name", "*.mp4")
    monkeypatch.chdir(film.parent)
    assert locate(tmp_path / "o.csv", film.name, every=10)[0] == 0


@pytest.mark.parametrize(
    ("file", "lost"), [("mj_zero16.avi", {15}), ("mj_zero_last.avi", {29}), ("h264_last.mp4", {26, 27, 28, 29})]
)
def test_a_bad_packet_costs_its_own_rows(tmp_path: Path, file: str, lost: set[int]) -> None:
    (film,) = case("V6-one-bad-packet", file)
    assert {number for number, frame in enumerate(frames(film)) if frame is None} == lost
    code, rows = locate(tmp_path / "o.csv", film)
    assert code == EXIT_PASSED_OVER
    assert [row[0] for row in rows] == [str(number) for number in range(30)]


def shown(path: Path, slots: int, step_s: float = 60.0, **settings) -> list[str]:
    """Return what a replay camera shows slot by slot: the source, or `fault`."""
    clock = SteppedClock(datetime(2026, 1, 1, tzinfo=UTC))
    camera = ReplayCamera(Camera(backend="replay", replay=ReplaySettings(path=str(path), **settings)), clock)
    camera.open()
    found = []
    for _ in range(slots):
        try:
            found.append(str(camera.capture(Shot(clock.monotonic_s(), Light.DARK)).state.source))
        except EndOfReplay:
            break
        except UnreadablePicture:
            found.append("fault")
        clock.sleep_until(clock.monotonic_s() + step_s, lambda: False)
    return found


def test_a_replay_goes_on_behind_a_bad_frame(tmp_path: Path) -> None:
    case("V7-replay-bad-frame")
    (film,) = case("V6-one-bad-packet", "mj_zero16.avi")
    copy = tmp_path / "film.avi"
    shutil.copy(film, copy)
    wanted = [f"film.avi#{number}" for number in range(30)]
    wanted[15] = "fault"
    assert shown(copy, 40) == wanted


def test_a_replay_at_its_own_pace_shows_the_frame_whose_time_has_come() -> None:
    (film,) = case("V9-vfr-own-pace", "vfr.mp4")
    assert shown(film, 2, 2.0, pace="own") == ["vfr.mp4#0", "vfr.mp4#14"]
    assert shown(film, 2, 10.0, pace="own")[1] == "vfr.mp4#20"


def test_a_replay_passes_over_what_is_no_picture() -> None:
    (folder,) = case("P5-appledouble", "folder")
    assert shown(folder, 3) == ["a.png", "b.png"]
