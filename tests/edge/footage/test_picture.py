"""Pictures come as people see them, whatever container, depth and orientation; what cannot is refused by name."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edge.errors import UnreadablePicture
from edge.footage.picture import read_image, read_picture

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,  # what undoes the turn that the tag asks for
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
LEVELS = np.linspace(0, 255, 96 * 64).reshape(64, 96).round().astype(np.uint8)


@pytest.fixture
def scene() -> Image.Image:
    """A picture that looks different from every side."""
    drawn = Image.new("RGB", (96, 64), (40, 60, 80))
    ImageDraw.Draw(drawn).polygon([(4, 4), (60, 8), (10, 40)], fill=(220, 90, 30))
    return drawn


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "deflated.tif"])
def test_every_container_is_turned_once(tmp_path: Path, scene: Image.Image, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if ending in ("jpg", "webp") else {}
    options |= {"compression": "tiff_deflate"} if ending == "deflated.tif" else {}
    path = tmp_path / f"a.{ending}"
    scene.transpose(TURNS[orientation]).save(path, exif=exif, **options)
    found = read_image(path)
    assert found.shape == (64, 96, 3)
    assert np.abs(found.astype(int) - np.asarray(scene)).mean() < 4
    assert found.flags.c_contiguous


@pytest.mark.parametrize("mode", ["L", "I;16", "F", "RGB"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_an_uncompressed_tiff_is_turned_too(tmp_path: Path, scene: Image.Image, orientation: int, mode: str) -> None:
    """Pillow maps the file of such a picture into memory, and then forgets to turn it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = np.asarray(scene.convert("L"))
    stored = {"L": grey, "I;16": grey.astype(np.uint16) * 257, "F": grey.astype(np.float32) / 255, "RGB": scene}[mode]
    picture = stored if isinstance(stored, Image.Image) else Image.fromarray(stored)
    picture.transpose(TURNS[orientation]).save(tmp_path / "a.tif", exif=exif)
    found = read_image(tmp_path / "a.tif")
    assert found.shape == (64, 96, 3)
    wanted = np.asarray(scene) if mode == "RGB" else np.repeat(grey[..., None], 3, axis=2)
    assert np.abs(found.astype(int) - wanted).mean() < 2


def test_a_pipe_is_no_picture_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UnreadablePicture, match="expected a whole image file, got something else"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_an_orientation_that_is_none_turns_nothing(tmp_path: Path, scene: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    scene.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.asarray(scene))


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_grey_of_16_bits_keeps_its_brightness(tmp_path: Path, ending: str, bits: int) -> None:
    """Whatever depth the sensor had: never white, never black; and where the depth is a guess, that is reported."""
    stored = (LEVELS.astype(np.uint32) * ((1 << bits) - 1) // 255).astype(np.uint16)
    Image.fromarray(stored).save(tmp_path / f"a.{ending}")
    found = read_picture(tmp_path / f"a.{ending}")
    assert np.abs(found.pixels[..., 0].astype(int) - LEVELS).max() <= 1
    assert found.depth == ("" if bits == 16 else f"{bits} bits in 16")


@pytest.mark.parametrize("most", [1023, 4095, 65535])
def test_a_pgm_says_its_greatest_value_itself(tmp_path: Path, most: int) -> None:
    """A dark picture stays dark: nothing is guessed where the file states it."""
    dark = LEVELS.astype(np.uint32) // 6
    stored = (dark * most // 255).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(b"P5 96 64 %d\n" % most + stored.tobytes())
    found = read_picture(tmp_path / "a.pgm")
    if most < 65535:  # 16 bits of which 14 are used could be either
        assert np.abs(found.pixels[..., 0].astype(int) - dark).max() <= 1
        assert found.depth == ""


def test_where_white_is_zero_a_deep_tiff_is_no_negative(tmp_path: Path) -> None:
    stored = 65535 - LEVELS.astype(np.uint16) * 257
    Image.fromarray(stored).save(tmp_path / "a.tif", tiffinfo={262: 0})
    found = read_image(tmp_path / "a.tif")[..., 0]
    with Image.open(tmp_path / "a.tif") as written:
        assert written.getexif()[262] == 0
    np.testing.assert_array_equal(found, LEVELS)


def test_32_bits_are_read_where_they_fit_in_16(tmp_path: Path) -> None:
    Image.fromarray(LEVELS.astype(np.int32) * 257).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[..., 0], LEVELS)


@pytest.mark.parametrize("full", [1.0, 255.0, 4095.0])
def test_floating_point_is_scaled(tmp_path: Path, full: float) -> None:
    Image.fromarray((LEVELS / 255 * full).astype(np.float32)).save(tmp_path / "a.tif")
    found = read_picture(tmp_path / "a.tif")
    assert np.abs(found.pixels[..., 0].astype(int) - LEVELS).max() <= 1
    assert found.depth == f"floating point from 0 to {full:.0f}"


@pytest.mark.parametrize(("full", "spikes"), [(1.0, 1), (1.0, 6), (255.0, 5)])
def test_a_few_spikes_do_not_set_the_scale(tmp_path: Path, full: float, spikes: int) -> None:
    """A hot pixel made the rest black; more than one sample in a thousand are no spikes."""
    samples = (LEVELS / 255 * full).astype(np.float32)
    samples.ravel()[:spikes] = 60_000
    Image.fromarray(samples).save(tmp_path / "a.tif")
    found = read_picture(tmp_path / "a.tif")
    assert (found.pixels[..., 0].ravel()[:spikes] == 255).all()
    assert np.abs(found.pixels[..., 0].astype(int) - LEVELS).ravel()[spikes:].max() <= 1
    assert found.depth == f"floating point from 0 to {full:.0f}, {spikes} brighter samples made white"
    samples.ravel()[:7] = 60_000
    Image.fromarray(samples).save(tmp_path / "b.tif")
    assert read_picture(tmp_path / "b.tif").depth == "floating point from 0 to 65535"


@pytest.mark.parametrize(
    "how",
    [
        {}, {"progressive": True}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 3}, {"subsampling": 0},
        {"subsampling": 1}, {"optimize": True}, {"quality": 20}, {"grey": True}, {"progressive": True, "grey": True},
        {"grey": True, "restart_marker_blocks": 5}, {"progressive": True, "restart_marker_blocks": 2},
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [(200, 150), (97, 33)])
def test_a_jpeg_that_ends_early_is_refused(tmp_path: Path, how: dict[str, object], size: tuple[int, int]) -> None:
    """With an end marker, as some programs put one behind what they have got, or with one in the middle."""
    how = dict(how)
    ground = np.random.default_rng(2).integers(0, 255, (size[1] // 3 + 1, size[0] // 3 + 1, 3), np.uint8)
    picture = Image.fromarray(ground.repeat(3, axis=0).repeat(3, axis=1)[: size[1], : size[0]])
    out = io.BytesIO()
    (picture.convert("L") if how.pop("grey", False) else picture).save(out, "JPEG", **how)
    whole = out.getvalue()
    path = tmp_path / "a.jpg"
    for behind in (b"", b"camera maker's notes\xff\xd8\xff\xd9", bytes(64)):
        path.write_bytes(whole + behind)
        assert read_image(path).shape == (size[1], size[0], 3)
    begin = whole.rindex(b"\xff\xda") + 2
    begin += whole[begin + 1]
    for part in (0.2, 0.5, 0.9):
        at = begin + int((len(whole) - 2 - begin) * part)
        at -= whole[at - 1] == 0xFF
        for behind in (b"", whole[at:]):
            path.write_bytes(whole[:at] + b"\xff\xd9" + behind)
            with pytest.raises(UnreadablePicture, match=r"a\.jpg: .*coded pixels end before its last row"):
                read_image(path)


def test_a_link_that_leads_nowhere_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "c.png").symlink_to("gone.png")
    with pytest.raises(UnreadablePicture, match=r"a\.png is a link that leads back to itself; expected an image"):
        read_image(tmp_path / "a.png")
    with pytest.raises(UnreadablePicture, match=r"c\.png is a link to gone\.png, which does not exist"):
        read_image(tmp_path / "c.png")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (LEVELS.astype(np.int32) - 1, "expected grey levels of 8 or 16 bits, got numbers from -1 to 254"),
        (LEVELS.astype(np.int32) * 300, "expected grey levels of 8 or 16 bits, got numbers from 0 to 76500"),
        (LEVELS.astype(np.float32) - 1, "expected floating point from 0 to 1"),
        (np.where(LEVELS > 9, np.nan, 0.5).astype(np.float32), "expected floating point from 0 to 1"),
        (np.full((64, 96), np.inf, np.float32), "expected floating point from 0 to 1"),
    ],
)
def test_a_scale_that_nobody_knows_is_refused(tmp_path: Path, samples: np.ndarray, message: str) -> None:
    Image.fromarray(samples).save(tmp_path / "a.tif")
    with pytest.raises(UnreadablePicture, match=message) as refused:
        read_image(tmp_path / "a.tif")
    assert str(refused.value).startswith(str(tmp_path / "a.tif"))


def _deep_colour(samples: np.ndarray) -> bytes:
    """Return a PNG of 16 bits a sample, uint16 (h, w, 3), which Pillow does not write."""
    import zlib

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_colour_of_16_bits_is_scaled_or_refused(tmp_path: Path) -> None:
    colour = np.repeat(LEVELS[..., None], 3, axis=2).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(_deep_colour(colour * 257))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colour)
    (tmp_path / "b.png").write_bytes(_deep_colour(colour * 16))
    with pytest.raises(UnreadablePicture, match="expected colour that fills its 16 bits"):
        read_image(tmp_path / "b.png")


def test_palettes_one_bit_and_cmyk_show_their_colours(tmp_path: Path, scene: Image.Image) -> None:
    scene.quantize(8).save(tmp_path / "palette.png")
    scene.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    scene.convert("CMYK").save(tmp_path / "cmyk.tif")
    for name in ("palette.png", "cmyk.jpg", "cmyk.tif"):
        found = read_image(tmp_path / name)
        assert np.abs(found.astype(int) - np.asarray(scene)).mean() < 6, name
    Image.fromarray(LEVELS > 127).save(tmp_path / "bits.png")
    assert set(np.unique(read_image(tmp_path / "bits.png"))) == {0, 255}


def test_transparency_is_black_and_an_even_alpha_says_nothing(tmp_path: Path, scene: Image.Image) -> None:
    """What lies hidden beneath a transparent pixel is no picture of a mouse."""
    for alpha in (255, 0, 90):
        with_alpha = scene.copy()
        with_alpha.putalpha(alpha)
        with_alpha.save(tmp_path / "even.png")
        np.testing.assert_array_equal(read_image(tmp_path / "even.png"), np.asarray(scene))
    half = scene.copy()
    half.putalpha(Image.fromarray(np.where(np.arange(96) < 48, 255, 0).astype(np.uint8)[None].repeat(64, 0)))
    half.save(tmp_path / "half.webp", lossless=True, exact=True)
    found = read_image(tmp_path / "half.webp")
    np.testing.assert_array_equal(found[:, :48], np.asarray(scene)[:, :48])
    assert not found[:, 48:].any()
    scene.quantize(8).save(tmp_path / "palette.png", transparency=0)
    assert read_image(tmp_path / "palette.png").shape == (64, 96, 3)


@pytest.mark.parametrize("ending", ["tif", "gif", "png", "webp"])
def test_several_pages_are_refused(tmp_path: Path, scene: Image.Image, ending: str) -> None:
    other = scene.transpose(Image.Transpose.ROTATE_180)
    scene.save(tmp_path / f"a.{ending}", save_all=True, append_images=[other])
    with pytest.raises(UnreadablePicture, match="expected one picture, got"):
        read_image(tmp_path / f"a.{ending}")


def test_a_preview_within_a_picture_is_no_second_page(tmp_path: Path, scene: Image.Image) -> None:
    scene.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[scene.resize((24, 16))])
    assert read_image(tmp_path / "a.jpg").shape == (64, 96, 3)
    small = scene.resize((24, 16))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    scene.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    with Image.open(tmp_path / "a.tif") as written:
        written.seek(1)
        if 254 not in written.getexif():
            pytest.skip("this Pillow does not write the mark of a preview")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.asarray(scene))


def test_a_stack_behind_one_page_is_refused(tmp_path: Path, scene: Image.Image) -> None:
    scene.save(tmp_path / "a.tif", tiffinfo={270: "ImageJ=1.53\nimages=20\nslices=20\n"})
    with pytest.raises(UnreadablePicture, match="several pages"):
        read_image(tmp_path / "a.tif")


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    Image.new("1", (10_001, 10_000)).save(tmp_path / "bomb.png")
    with pytest.raises(UnreadablePicture, match="at most 100 megapixels, got 10001x10000"):
        read_image(tmp_path / "bomb.png")


def _jpeg(scene: Image.Image) -> bytes:
    out = io.BytesIO()
    scene.save(out, "JPEG")
    return out.getvalue()


def test_what_is_no_picture_is_named_for_what_it_is(tmp_path: Path, scene: Image.Image) -> None:
    whole = _jpeg(scene)
    cases = {
        b"": "an empty file",
        b"\0" * 4096: "zero bytes",
        b"<!DOCTYPE html>\n<html>": "text, '<!DOCTYPE html>'",
        b"\0\5\x16\7\0\2\0\0Mac OS X": "AppleDouble",
        b"\0\0\0\x18ftypheic\0\0\0\0": "of the kind 'heic'",
        b"\x93NUMPY\1\0v\0": "data of no kind that is read here",
        whole[:-2]: "[Tt]runcated",
        whole[: len(whole) // 2]: "[Tt]runcated",
    }
    for content, message in cases.items():
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(UnreadablePicture, match=f"a.jpg: expected a whole image .*{message}"):
            read_image(tmp_path / "a.jpg")
    with pytest.raises(UnreadablePicture, match=r"none\.jpg does not exist"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(UnreadablePicture, match="expected a whole image"):
        read_image(tmp_path)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp", "gif", "bmp", "pgm"])
def test_damage_anywhere_is_a_picture_or_one_error(tmp_path: Path, scene: Image.Image, ending: str) -> None:
    """No class of error that a decoder is led to by damaged bytes gets past the reader."""
    (scene.convert("L") if ending == "pgm" else scene).save(tmp_path / f"a.{ending}")
    whole = (tmp_path / f"a.{ending}").read_bytes()
    rng = np.random.default_rng(5)
    for number in range(60):
        damaged = bytearray(whole)
        for at in rng.integers(0, min(len(whole), 400), 6):
            damaged[at] = rng.integers(0, 256)
        (tmp_path / "b").write_bytes(bytes(damaged[: rng.integers(8, len(whole))] if number % 2 else damaged))
        try:
            found = read_image(tmp_path / "b")
        except UnreadablePicture:
            continue
        assert found.ndim == 3


@pytest.mark.parametrize("bits", [7, 8, 10, 12, 14, 15])
def test_samples_with_a_sign_keep_their_brightness(tmp_path: Path, bits: int) -> None:
    """A TIFF of int16 was half as bright as what it shows, one of int8 too, and int8 below 0 was white."""
    full = (1 << bits) - 1
    levels = np.linspace(0, full, 40 * 30).reshape(30, 40)
    samples = levels.astype(np.int8 if bits == 7 else np.int16)
    path = _signed_tiff(tmp_path / "a.tif", samples)
    found = read_picture(path)
    assert np.abs(found.pixels[..., 0] - levels / full * 255).max() <= 255 / full + 1
    assert found.depth == ("" if bits in (7, 15) else f"{bits} bits in 16")


def test_samples_below_zero_are_refused(tmp_path: Path) -> None:
    for kind in (np.int8, np.int16):
        samples = np.linspace(-90, 90, 1200).reshape(30, 40).astype(kind)
        with pytest.raises(UnreadablePicture, match="expected grey levels of 8 or 16 bits, got numbers from -90 to 90"):
            read_picture(_signed_tiff(tmp_path / "a.tif", samples))


def _signed_tiff(path: Path, samples: np.ndarray) -> Path:
    """Write a TIFF of whole numbers with a sign, (h, w), which Pillow does not write."""
    height, width = samples.shape
    size = samples.dtype.itemsize
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8 * size),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8 + 2 + 10 * 12 + 4),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, samples.size * size),
        (339, 3, 2),
    ]
    content = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, kind, value in entries:
        content += struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value)
    path.write_bytes(content + bytes(4) + samples.astype(samples.dtype.newbyteorder("<")).tobytes())
    return path


@pytest.mark.parametrize("kind", ["P1", "P2", "P3", "P4", "P5", "P5 of 16 bits", "P6", "Pf"])
def test_several_pictures_in_one_pnm_file_are_refused(tmp_path: Path, kind: str) -> None:
    """FFmpeg writes a film so (image2pipe): the first picture was taken for the file, without a word."""
    grey = np.arange(1, 201, dtype=np.uint8).reshape(10, 20)
    plain = " ".join(str(one) for one in grey.ravel())
    picture = {
        "P1": b"P1\n20 10\n" + " ".join("1" if one % 2 else "0" for one in grey.ravel()).encode() + b"\n",
        "P2": f"P2\n# a note\n20 10\n255\n{plain}\n".encode(),
        "P3": f"P3\n20 10\n255\n{plain} {plain} {plain}\n".encode(),
        "P4": b"P4\n20 10\n" + np.packbits(grey % 2, axis=1).tobytes(),
        "P5": b"P5 20 10 255\n" + grey.tobytes(),
        "P5 of 16 bits": b"P5 20 10 4095\n" + (grey.astype(">u2") * 16).tobytes(),
        "P6": b"P6 # a note\n20 10 255\n" + np.repeat(grey[..., None], 3, 2).tobytes(),
        "Pf": b"Pf\n20 10\n-1.0\n" + (grey / 255).astype("<f4").tobytes(),
    }[kind]
    path = tmp_path / "a.pnm"
    path.write_bytes(picture)
    assert read_picture(path).pixels.shape == (10, 20, 3)
    path.write_bytes(picture + picture)
    with pytest.raises(UnreadablePicture, match="expected one picture, got several in one PNM file"):
        read_picture(path)
