"""Stored pictures as a camera: in order, at the schedule's pace or their own, once or over and over."""

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.camera.protocol import Shot
from edge.camera.replay import ReplayCamera
from edge.config.tree import Camera, ReplaySettings
from edge.contract.reading import Light
from edge.errors import CameraMissing, EndOfReplay, UnreadablePicture
from edge.timing.clock import SteppedClock
from edge.vision.image import write_image
from tests.edge.footage.film import spoil, write_film

GREYS = (40, 80, 120, 160, 200)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, grey in enumerate(GREYS):
        write_image(tmp_path / f"{number:02d}.png", np.full((60, 80, 3), grey, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """20 frames at 10 frames/s whose grey level grows."""
    return write_film(tmp_path / "film.mp4", [np.full((64, 96, 3), 20 + 10 * n, np.uint8) for n in range(20)])


def camera_of(path: Path, clock: SteppedClock, **changes: Any) -> ReplayCamera:
    settings = Camera(backend="replay", small_width=64, replay=ReplaySettings(path=str(path), **changes))
    camera = ReplayCamera(settings, clock)
    camera.open()
    return camera


def clock() -> SteppedClock:
    return SteppedClock(datetime(2024, 1, 1, tzinfo=UTC))


def sources(camera: ReplayCamera, count: int, at: SteppedClock, step_s: float = 60.0) -> list[str | None]:
    found = []
    for _ in range(count):
        found.append(camera.capture(Shot(at.monotonic_s(), Light.LIGHT)).state.source)
        at.sleep_until(at.monotonic_s() + step_s, lambda: False)
    return found


def test_a_folder_is_shown_picture_by_picture_and_then_ends(folder: Path) -> None:
    at = clock()
    camera = camera_of(folder, at)
    assert sources(camera, 5, at) == ["00.png", "01.png", "02.png", "03.png", "04.png"]
    with pytest.raises(EndOfReplay):
        camera.capture(Shot(at.monotonic_s(), Light.LIGHT))


def test_the_pixels_are_the_files_own(folder: Path) -> None:
    frame = camera_of(folder, clock()).capture(Shot(0.0, Light.LIGHT))
    assert frame.main.shape == (60, 80, 3)
    assert frame.small().shape == (48, 64)
    assert set(np.unique(frame.main)) == {40}


def test_a_loop_names_its_passes(folder: Path) -> None:
    at = clock()
    names = sources(camera_of(folder, at, loop=True, every=2), 5, at)
    assert names == ["00.png", "02.png", "04.png", "00.png (pass 2)", "02.png (pass 2)"]


def test_at_its_own_pace_pictures_between_two_slots_are_passed_over(folder: Path) -> None:
    at = clock()
    assert sources(camera_of(folder, at, pace="own", frames_per_s=1.0), 3, at, step_s=2.0) == [
        "00.png",
        "02.png",
        "04.png",
    ]


def test_at_its_own_pace_no_picture_is_shown_twice(folder: Path) -> None:
    at = clock()
    assert sources(camera_of(folder, at, pace="own", frames_per_s=1.0), 3, at, step_s=0.1) == [
        "00.png",
        "01.png",
        "02.png",
    ]


def test_a_reopened_replay_goes_on_where_it_was(folder: Path) -> None:
    at = clock()
    camera = camera_of(folder, at)
    sources(camera, 2, at)
    camera.close()
    camera.open()
    assert sources(camera, 1, at) == ["02.png"]


def test_a_video_is_shown_frame_by_frame(video: Path) -> None:
    at = clock()
    camera = camera_of(video, at, every=5)
    levels = [camera.capture(Shot(0.0, Light.LIGHT)).main.mean() for _ in range(4)]
    assert [round(level / 10) for level in levels] == [2, 7, 12, 17]
    with pytest.raises(EndOfReplay):
        camera.capture(Shot(0.0, Light.LIGHT))


def test_a_video_has_its_own_pace(video: Path) -> None:
    at = clock()
    names = sources(camera_of(video, at, pace="own", loop=True), 4, at, step_s=0.5)
    assert names == ["film.mp4#0", "film.mp4#5", "film.mp4#10", "film.mp4#15"]


def test_what_holds_no_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(CameraMissing, match="does not exist"):
        camera_of(tmp_path / "none", clock())
    with pytest.raises(CameraMissing, match="holds no images"):
        camera_of(tmp_path, clock())


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    (tmp_path / "film.mp4").write_bytes(b"not a film")
    with pytest.raises(CameraMissing, match="no video"):
        camera_of(tmp_path / "film.mp4", clock())


def test_a_damaged_picture_is_named_and_passed_over(folder: Path) -> None:
    (folder / "00.png").write_bytes((folder / "00.png").read_bytes()[:40])
    at = clock()
    camera = camera_of(folder, at)
    with pytest.raises(UnreadablePicture, match=r"00\.png"):
        camera.capture(Shot(0.0, Light.LIGHT))
    assert sources(camera, 1, at) == ["01.png"]


def test_pictures_come_in_the_order_that_people_count_in(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.png", "img1.png"):
        write_image(tmp_path / name, np.full((60, 80, 3), 90, np.uint8))
    (tmp_path / "._img1.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    (tmp_path / "notes.txt").write_text("no picture")
    at = clock()
    camera = camera_of(tmp_path, at)
    assert sources(camera, 3, at) == ["img1.png", "img2.png", "img10.png"]
    with pytest.raises(EndOfReplay, match=r"passed over: names that begin with a dot \(1\), \.txt files \(1\)"):
        camera.capture(Shot(at.monotonic_s(), Light.LIGHT))


@pytest.mark.parametrize("bad", [0, 4, 7])
def test_a_frame_that_cannot_be_decoded_is_named_and_passed_over(tmp_path: Path, bad: int) -> None:
    pictures = [np.random.default_rng(n).integers(0, 255, (64, 96, 3), np.uint8) for n in range(8)]
    film = spoil(write_film(tmp_path / "film.avi", pictures, codec="mjpeg"), [bad])
    at = clock()
    camera = camera_of(film, at)
    assert sources(camera, bad, at) == [f"film.avi#{number}" for number in range(bad)]
    with pytest.raises(UnreadablePicture, match=rf"film\.avi: frame {bad} cannot be decoded"):
        camera.capture(Shot(at.monotonic_s(), Light.LIGHT))
    assert sources(camera, 7 - bad, at) == [f"film.avi#{number}" for number in range(bad + 1, 8)]
    with pytest.raises(EndOfReplay, match="no more pictures; 1 could not be read"):
        camera.capture(Shot(at.monotonic_s(), Light.LIGHT))


def test_at_its_own_pace_the_frame_is_shown_whose_time_has_come(tmp_path: Path) -> None:
    """A film of two rates: the mean rate of its frames describes none of them."""
    times = [0, 1, 2, 3, 4, 40, 60, 80, 100]
    pictures = [np.full((64, 96, 3), 20 + 20 * n, np.uint8) for n in range(9)]
    film = write_film(tmp_path / "film.mp4", pictures, times=times)
    at = clock()
    names = sources(camera_of(film, at, pace="own"), 5, at, step_s=2.0)
    assert names == [f"film.mp4#{number}" for number in (0, 4, 5, 6, 7)]


def test_the_last_frame_has_its_shape_too(tmp_path: Path) -> None:
    """It is shown when the file has been read to its end, and is closed."""
    film = write_film(tmp_path / "film.mkv", [np.full((64, 96, 3), 20, np.uint8)] * 3, pixel=Fraction(4, 3))
    camera = camera_of(film, clock())
    assert [camera.capture(Shot(0.0, Light.LIGHT)).main.shape for _ in range(3)] == [(64, 128, 3)] * 3
