"""Thumbnails fit, and carry who took them without being coded again."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.errors import OperatorError
from edge.footage.picture import read_image
from edge.version import VERSION
from edge.vision.image import encode_jpeg, with_identity

NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
TAKEN_AT = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize("max_bytes", [60_000, 20_000, 4_000])
def test_a_thumbnail_never_exceeds_its_bytes(max_bytes) -> None:
    """Noise is the worst picture for JPEG; at 4 kB it must shrink as well."""
    jpeg = encode_jpeg(NOISE, width=320, quality=95, max_bytes=max_bytes)
    assert len(jpeg) <= max_bytes
    with Image.open(io.BytesIO(jpeg)) as picture:
        assert picture.width <= 320
        assert picture.width / picture.height == pytest.approx(4 / 3, rel=0.05)


def test_a_thumbnail_that_fits_keeps_its_width_and_look() -> None:
    smooth = np.repeat(np.tile(np.linspace(0, 255, 640).astype(np.uint8), (480, 1))[..., None], 3, axis=2)
    with Image.open(io.BytesIO(encode_jpeg(smooth, width=320, quality=75, max_bytes=48_000))) as picture:
        assert picture.size == (320, 240)
        found = np.asarray(picture.convert("L")).astype(int)
    assert abs(found - smooth[::2, ::2, 0].astype(int)).max() < 8


def test_a_grey_picture_makes_a_grey_thumbnail() -> None:
    with Image.open(io.BytesIO(encode_jpeg(NOISE[..., 0], width=160, quality=75, max_bytes=48_000))) as picture:
        assert (picture.mode, picture.size) == ("L", (160, 120))


def test_a_picture_carries_its_identity_and_the_same_pixels() -> None:
    plain = encode_jpeg(NOISE, width=160, quality=75, max_bytes=48_000)
    named = with_identity(plain, device_id="cage07", epoch="ab" * 16, seq=42, captured_at=TAKEN_AT)
    with Image.open(io.BytesIO(named)) as picture, Image.open(io.BytesIO(plain)) as before:
        exif = picture.getexif()
        assert json.loads(exif[0x010E]) == {
            "device_id": "cage07",
            "epoch": "ab" * 16,
            "seq": 42,
            "captured_at": "2026-03-01T12:30:05+00:00",
        }
        assert exif[0x0131] == f"cageclock {VERSION}"
        assert exif.get_ifd(0x8769)[0x9003] == "2026:03:01 12:30:05"
        assert (np.asarray(picture) == np.asarray(before)).all()
    assert named.endswith(plain[2:])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_small_file_of_an_absurd_picture_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(path)
    with pytest.raises(OperatorError, match="expected a whole image"):
        read_image(path)
