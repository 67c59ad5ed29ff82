"""A stored picture that cannot be read is a slot with a fault, and the replay goes on behind it."""

from pathlib import Path

import numpy as np
import pytest

from edge.errors import EXIT_PASSED_OVER
from edge.vision.image import write_image
from tests.edge.capture.running import records, run, write_settings
from tests.edge.footage.film import spoil, write_film

PICTURES = [np.random.default_rng(number).integers(0, 255, (240, 320, 3), np.uint8) for number in range(6)]


def replay(tmp_path: Path, source: Path) -> Path:
    settings = write_settings(tmp_path)
    text = settings.read_text().replace("backend: simulated", f"backend: replay, replay: {{path: {source}}}")
    settings.write_text(text)
    return settings


def shown(settings: Path) -> list[str]:
    """Return each reading's picture, or the text of its fault."""
    found = records(settings, "reading")
    return [one["camera"]["source"] if one["outcome"] != "camera_fault" else one["detail"] for one in found]


@pytest.mark.parametrize("captures", [(), ("--captures", "5")])
def test_a_frame_that_cannot_be_decoded_is_one_faulty_slot(tmp_path: Path, captures: tuple[str, ...]) -> None:
    film = spoil(write_film(tmp_path / "film.avi", PICTURES, codec="mjpeg"), [3])
    settings = replay(tmp_path, film)
    code, errors = run(settings, "--stepped", *captures)
    found = shown(settings)
    assert found[3].startswith(f"{film}: frame 3 cannot be decoded")
    assert [one for number, one in enumerate(found) if number != 3] == [
        f"film.avi#{number}" for number in range(5 if captures else 6) if number != 3
    ]
    assert code == EXIT_PASSED_OVER
    assert errors.count("frame 3 cannot be decoded") == 1
    if not captures:
        assert "no more pictures; 1 could not be read" in errors


def test_bad_files_of_a_folder_are_faulty_slots(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    for number in (1, 2, 10):
        write_image(tmp_path / f"day/img{number}.png", PICTURES[number % 6])
    (tmp_path / "day/img3.jpg").write_bytes(b"")
    (tmp_path / "day/._img1.png").write_bytes(b"\0\5\x16\7")
    settings = replay(tmp_path, tmp_path / "day")
    code, _ = run(settings, "--stepped")
    found = shown(settings)
    assert [one if one.endswith(".png") else "fault" for one in found] == ["img1.png", "img2.png", "fault", "img10.png"]
    assert "img3.jpg: expected a whole image" in found[2]
    assert code == EXIT_PASSED_OVER


@pytest.mark.parametrize("name", ["none", "empty", "notes.txt"])
def test_a_path_without_pictures_ends_with_code_2_and_no_reading(tmp_path: Path, name: str) -> None:
    """systemd does not start it again for that (RestartPreventExitStatus=2): only a person can correct a path."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no video")
    settings = tmp_path / "device.yaml"
    settings.write_text(
        f"device_id: cage07\nstate_dir: {tmp_path / 'state'}\ncage: {{id: cage07}}\n"
        f"camera: {{backend: replay, replay: {{path: {tmp_path / name}}}}}\n"
    )
    code, errors = run(settings)
    assert code == 2
    assert f"cageclock: camera.replay.path: {tmp_path / name}" in errors
    assert not (tmp_path / "state").exists()
