"""Scale, tilt and distortion of pictures rendered with known ones; and what is said of pictures that cannot tell."""

import json
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import OperatorError
from station.cli import main
from station.scale.card import CARDS
from station.scale.measure import measure
from station.scale.picture import read_grey
from tests.station.scale.rendering import View, bitmap, render

SMALL, LARGE = CARDS["small"], CARDS["large"]
ROOT = Path(__file__).parents[3]

VIEWS = {
    "straight": (SMALL, View()),
    "5 degrees": (SMALL, View(tilt=5.0)),
    "-10 degrees": (SMALL, View(tilt=-10.0, turned=93.0)),
    "barrel": (LARGE, View(px_per_mm=2.0, radial=-0.05)),
    "pincushion": (LARGE, View(px_per_mm=2.0, radial=0.05, tilt=2.0)),
    "out of focus": (SMALL, View(blur_px=2.0)),
    "noisy": (SMALL, View(noise=12.0)),
    "upside down": (SMALL, View(turned=180.0)),
    "aside": (SMALL, View(shift_mm=(30.0, 20.0))),
    "quarter size": (SMALL, View(320, 240, 1.333)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_scale_and_tilt_are_measured(name: str) -> None:
    """Within 0.2 % and 0.3 degrees; seen were 0.05 % and 0.07 degrees at most."""
    card, view = VIEWS[name]
    found = measure(render(card, view), ruler_mm=100.0)
    assert found.card is card
    assert found.px_per_mm == pytest.approx(view.px_per_mm, rel=0.002)
    assert found.tilt_degrees == pytest.approx(abs(view.tilt), abs=0.3)
    assert abs(found.px_per_mm / view.px_per_mm - 1) < 6 * found.error + 0.0005, "the error that is stated is honest"
    if found.radial is not None:
        assert found.radial == pytest.approx(view.radial, abs=0.01)
    assert (found.radial is not None) or not view.radial


def test_a_tilted_camera_is_named_with_what_it_does_to_the_age_crop() -> None:
    found = measure(render(SMALL, View(tilt=8.0)), ruler_mm=100.0)
    assert any("8 degrees aslant" in sentence for sentence in found.warnings)
    assert any("too large or too small for the age model" in sentence for sentence in found.warnings)
    # The near side is larger than the far one, by tan(8 degrees) times the tangent of half the field of view, each way.
    assert found.largest / found.smallest == pytest.approx(1.31, abs=0.03)


def test_a_straight_camera_gets_no_warning() -> None:
    assert measure(render(SMALL, View()), ruler_mm=100.0).warnings == ()


def test_a_partly_covered_card_measures_as_well() -> None:
    picture = render(SMALL, View()).copy()
    picture[:, :260] = 90
    found = measure(picture, ruler_mm=100.0)
    assert found.corners < SMALL.corners
    assert found.px_per_mm == pytest.approx(2.667, rel=0.003)
    picture[:, :520] = 90
    with pytest.raises(OperatorError, match=r"take away what covers|no corner between them|no card is found"):
        measure(picture)


def test_a_print_of_another_size_is_made_good_by_its_ruler() -> None:
    """A printer that fits to the page makes 97 mm of 100: there are more pixels to a true millimetre."""
    picture = render(SMALL, View(print_scale=(0.97, 0.97)))
    blind = measure(picture)
    assert blind.px_per_mm == pytest.approx(2.667 * 0.97, rel=0.002)
    assert any("measure the card's ruler" in sentence for sentence in blind.warnings)
    assert measure(picture, ruler_mm=97.0).px_per_mm == pytest.approx(2.667, rel=0.002)
    with pytest.raises(OperatorError, match="--ruler-mm: expected the length"):
        measure(picture, ruler_mm=9.7)


def test_a_stretched_print_is_named() -> None:
    found = measure(render(SMALL, View(print_scale=(0.97, 1.0))), ruler_mm=100.0)
    assert any("3.0% shorter than one down" in sentence for sentence in found.warnings)


def test_a_mirror_image_is_named() -> None:
    with pytest.raises(OperatorError, match="mirror image"):
        measure(np.ascontiguousarray(render(SMALL, View())[:, ::-1]))


def test_a_picture_without_a_card_says_what_to_look_at() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (480, 640), np.uint8)
    with pytest.raises(OperatorError, match="no card is found"):
        measure(noise)


def test_a_bent_card_is_refused_or_named() -> None:
    picture = render(SMALL, View(turned=0.0))
    column = np.arange(640)
    shift = (14 * np.sin(column / 640 * 4 * np.pi)).astype(int)
    bent = np.stack([np.roll(picture[:, x], shift[x]) for x in column], 1)
    try:
        said = " ".join(measure(np.ascontiguousarray(bent), ruler_mm=100.0).warnings)
    except OperatorError as error:
        said = str(error)
    assert "flat" in said


def save(path: Path, picture: np.ndarray) -> Path:
    Image.fromarray(picture).save(path)
    return path


def test_the_command_prints_the_lines_for_the_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "scale.png", render(SMALL, View()))
    assert main(["scale", str(path), "--ruler-mm", "100"]) == 0
    said = capsys.readouterr().out
    assert "camera:\n  width: 640\n  px_per_mm: 2.66" in said
    assert "28 of 28 corners" in said
    options = ["--settings-size", "1280x960", "--json", "--ruler-mm", "100"]
    assert main(["scale", str(path), *options]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["width"] == 1280
    assert values["px_per_mm"] == pytest.approx(2 * 2.667, rel=0.002)
    assert main(["scale", str(path), "--settings-size", "1456x1088"]) == 2
    assert "which may see another part of the cage" in capsys.readouterr().err


def test_the_command_says_what_the_scale_means_for_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "scale.png", render(SMALL, View(320, 240, 1.333)))
    data = ROOT / "edge/demo/bundle"
    key = next(data.glob("*.pub"))
    assert main(["scale", str(path), "--bundle", str(data / "demo.bundle"), "--key", str(key)]) == 0
    said = capsys.readouterr().out
    assert "note: the age crop is" in said or "it will give no age" in said
    assert main(["scale", str(path), "--bundle", str(data / "demo.bundle")]) == 2


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_file_that_is_no_picture_is_one_clear_error(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scale.png"
    path.write_bytes(content)
    assert main(["scale", str(path)]) == 2
    assert "no picture that can be read" in capsys.readouterr().err


def test_the_printed_card_is_what_is_looked_for_in_true_size(tmp_path: Path) -> None:
    """The PDF, drawn at 127 dots per inch, has 5 pixels a millimetre."""
    for name, card in CARDS.items():
        pdf = tmp_path / f"{name}.pdf"
        assert main(["scale-card", str(pdf), "--size", name]) == 0
        assert b"/MediaBox [ 0 0 841.8" in pdf.read_bytes(), "A4, landscape"
        if shutil.which("pdftoppm") is None:
            continue
        command = ["pdftoppm", "-r", "127", "-gray", "-png", "-singlefile", str(pdf), str(tmp_path / name)]
        subprocess.run(command, check=True)
        found = measure(read_grey(tmp_path / f"{name}.png"), ruler_mm=100.0)
        assert found.card is card
        assert found.corners == card.corners
        assert found.px_per_mm == pytest.approx(5.0, rel=0.002)


def test_two_cards_have_no_mark_in_common() -> None:
    marks = [range(card.first_mark, card.first_mark + card.marks) for card in CARDS.values()]
    assert len(set().union(*marks)) == sum(map(len, marks))
    assert bitmap(SMALL).shape[1] > bitmap(SMALL).shape[0]


def test_hostile_and_odd_pictures_are_one_error_each(tmp_path: Path) -> None:
    """A picture of a billion pixels ended in a traceback, one with a NaN or below 0 was black: "no card is seen"."""
    grey = np.tile(np.linspace(0, 1, 400, dtype=np.float32), (300, 1))
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "bomb.png").write_bytes(bomb + bytes(4) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))
    odd = grey.copy()
    odd[3, 3] = np.nan
    Image.fromarray(odd).save(tmp_path / "nan.tif")
    Image.fromarray(grey - 0.5).save(tmp_path / "negative.tif")
    Image.fromarray(grey).save(tmp_path / "two.tif", save_all=True, append_images=[Image.fromarray(1 - grey)])
    os.mkfifo(tmp_path / "pipe")
    wrong = {
        "bomb.png": "expected at most 64 million pixels",
        "nan.tif": "expected grey levels of 0 and more",
        "negative.tif": "expected grey levels of 0 and more",
        "two.tif": "expected one picture, got 2 in one file",
        "pipe": "expected a picture's file, got a folder, a pipe or a device",
        "none.png": "No such file",
    }
    for name, text in wrong.items():
        with pytest.raises(OperatorError, match=text):
            read_grey(tmp_path / name)
    Image.fromarray(grey).save(tmp_path / "one.tif")
    assert read_grey(tmp_path / "one.tif").max() == 255
