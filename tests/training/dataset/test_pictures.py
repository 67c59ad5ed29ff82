"""A dataset's, a project's and a video's pictures are read by the one reader; what shows nothing is a finding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from edge.errors import UnreadablePicture
from edge.footage.faults import Faults
from edge.vision.image import write_image
from tests.edge.footage.film import write_film
from training.age.unlabelled import unlabelled_crops
from training.dataset.check import check
from training.dataset.cut import UNREADABLE, cut_dataset
from training.locator.active_learning import pictures
from training.networks.shapes import age_spec

RNG = np.random.default_rng(3)
NOISE = RNG.integers(0, 255, (160, 384), np.uint8)


def dataset(folder: Path, names: list[str]) -> Path:
    rows = [
        {"picture": name, "subject": f"m{number}", "age_days": 60 + 30 * number, "strain": "C57BL/6J", "px_per_mm": 4}
        for number, name in enumerate(names)
    ]
    pd.DataFrame(rows).to_csv(folder / "animals.csv", index=False)
    return folder


def said(folder: Path, word: str) -> list[str]:
    return [str(one) for one in check(folder) if word in str(one)]


@pytest.mark.parametrize(("level", "what"), [(0, "black"), (255, "white"), (90, "one grey (90)")])
def test_a_picture_of_one_grey_is_an_error(tmp_path: Path, level: int, what: str) -> None:
    """The noise of a covered sensor does not hide it, and it is compared with no other picture."""
    noise = RNG.integers(-3, 4, (2, 160, 384)) * (level > 3) + level
    for number, picture in enumerate(noise.clip(0, 255).astype(np.uint8)):
        Image.fromarray(picture).save(tmp_path / f"flat{number}.png")
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    found = said(dataset(tmp_path, ["a.png", "flat0.png", "flat1.png"]), " all over: ")
    assert [one.split(" all over")[0] for one in found] == [
        f"error: line {number + 3}, column 'picture': flat{number}.png is {what}" for number in (0, 1)
    ]
    assert not said(tmp_path, "shows the same")
    _, unusable, _ = cut_dataset(tmp_path, None, None, ready=True)
    assert [one.line for one in unusable] == [3, 4]


def test_a_dim_picture_that_shows_something_is_none(tmp_path: Path) -> None:
    Image.fromarray((NOISE // 128 * 40).repeat(8, 0).repeat(8, 1)[:160, :384]).save(tmp_path / "a.png")
    assert not said(dataset(tmp_path, ["a.png"]), " all over: ")


def test_16_bits_are_cut_in_their_brightness_and_said(tmp_path: Path) -> None:
    """They used to come out white, all of them alike."""
    Image.fromarray(NOISE.astype(np.uint16) * 16).save(tmp_path / "a.png")
    Image.fromarray(np.roll(NOISE, 50, 1).astype(np.uint16) * 257).save(tmp_path / "b.png")
    dataset(tmp_path, ["a.png", "b.png"])
    crops, unusable, _ = cut_dataset(tmp_path, None, None, ready=True)
    assert not unusable
    assert crops.pixels.shape == (2, age_spec().height, age_spec().width, 1)
    assert np.abs(crops.pixels[0, ..., 0].astype(int) - NOISE).max() <= 1
    np.testing.assert_array_equal(crops.pixels[1, ..., 0], np.roll(NOISE, 50, 1))
    assert said(tmp_path, "12 bits in 16 (1)")[0].startswith("warning: column 'picture': brightness was scaled")
    assert not said(tmp_path, "shows the same")


def test_what_cannot_be_read_costs_its_line(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    Image.fromarray(NOISE[:5]).save(tmp_path / "c.png")
    Image.fromarray(NOISE[:1, :1]).save(tmp_path / "d.png")
    dataset(tmp_path, ["a.png", "b.png", "c.png", "d.png"])
    assert said(tmp_path, "an empty file")[0].startswith("error: line 3, column 'picture': cannot be read: ")
    crops, unusable, _ = cut_dataset(tmp_path, None, None, ready=True)
    assert len(crops) == 1
    assert [one.severity == UNREADABLE for one in unusable] == [True, False, False]


@pytest.mark.parametrize("ending", ["mkv", "ts", "mp4"])
def test_every_frame_is_a_candidate_where_no_header_counts(tmp_path: Path, ending: str) -> None:
    """No count is assumed: of 30 frames two were looked at, of a long film ten times too many."""
    frames = [np.full((64, 96, 3), 20 + 5 * number, np.uint8) for number in range(30)]
    codec = "mpeg2video" if ending == "ts" else "mpeg4"
    film = write_film(tmp_path / f"film.{ending}", frames, rate=25, codec=codec)
    assert [number for number, _, _ in pictures(film, 400)] == list(range(30))
    assert [name for _, name, _ in pictures(film, 10)] == [f"img{number:04d}.png" for number in range(0, 30, 3)]
    assert [number for number, _, _ in pictures(film, 400, frozenset({3, 29}))] == [3, 29]


def test_pictures_to_label_pass_over_what_cannot_be_read(tmp_path: Path) -> None:
    for name in ("img10.png", "img2.png"):
        write_image(tmp_path / name, NOISE)
    (tmp_path / "img3.png").write_bytes(b"<html>")
    write_image(tmp_path / "img4.png", NOISE[:2])
    (tmp_path / "._img2.png").write_bytes(b"\0\5\x16\7")
    faults = Faults()
    assert [name for _, name, _ in pictures(tmp_path, 400, faults=faults)] == ["img2.png", "img10.png"]
    assert len(faults) == 2
    assert "img3.png: expected a whole image" in faults.lines()[0]
    with pytest.raises(UnreadablePicture, match=r"img3\.png"):
        list(pictures(tmp_path, 400))


def test_pretraining_passes_over_what_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number}.png", np.roll(NOISE, number))
    (tmp_path / "1.png").write_bytes(b"")
    assert len(unlabelled_crops(tmp_path, age_spec(), most=10)) == 2
    assert "passed over: " in capsys.readouterr().err
