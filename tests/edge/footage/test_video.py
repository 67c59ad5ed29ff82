"""Videos come as a player shows them: upright, in shape, every frame in its place and at its time."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edge.errors import UnreadablePicture
from edge.footage.stream import shown_size
from edge.footage.video import Video
from tests.edge.footage.film import hide_first, spoil, turn, write_film

UPRIGHT = np.full((64, 96, 3), 30, np.uint8)
UPRIGHT[4:20, 4:60] = 220
UPRIGHT[4:44, 4:16] = (200, 120, 40)


def numbered(count: int, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """Frames whose grey is 20 + 5 times their number, with something in them that moves."""
    frames = [np.full((height, width, 3), 20 + 5 * number, np.uint8) for number in range(count)]
    for number, frame in enumerate(frames):
        frame[-16:, number : number + 8] = 255 - frame[0, 0]
    return frames


def textured(count: int) -> list[np.ndarray]:
    """Frames with something in each part of them, of which a part moves."""
    ground = np.random.default_rng(3).integers(20, 120, (8, 12, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    frames = [ground.copy() for _ in range(count)]
    for number, frame in enumerate(frames):
        frame[20:40, 2 * number : 2 * number + 20] = 220
    return frames


def seen(path: Path) -> list[int | None]:
    """Return which of the numbered frames each place of the film shows, None for one that cannot be decoded."""
    found: list[int | None] = []
    for place, moment in enumerate(Video(path, 30.0)):
        assert moment.number == place
        try:
            found.append(round((float(moment.read()[:16].mean()) - 20) / 5))
        except UnreadablePicture as error:
            reasons = ("cannot be decoded (", "is damaged", "builds on a damaged frame")
            assert any(f"{path}: frame {place} {one}" in str(error) for one in reasons)  # noqa: PT017 - the point
            found.append(None)
    return found


MATRICES = {
    "rot90": ((0, -1, 1, 0), lambda picture: np.rot90(picture, 1)),
    "rot180": ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2)),
    "rot270": ((0, 1, -1, 0), lambda picture: np.rot90(picture, 3)),
    "hflip": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    "vflip": ((1, 0, 0, -1), lambda picture: picture[::-1]),
    "transposed": ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1)),
    "transversed": ((0, -1, -1, 0), lambda picture: np.rot90(picture, 2).swapaxes(0, 1)),
    "upright": ((1, 0, 0, 1), lambda picture: picture),
    "nothing": ((0, 0, 0, 0), lambda picture: picture),
}


@pytest.mark.parametrize("name", MATRICES)
def test_a_display_matrix_turns_and_mirrors(tmp_path: Path, name: str) -> None:
    """Pixel (x, y) is shown at (a x + c y, b x + d y): ISO/IEC 14496-12."""
    matrix, shown = MATRICES[name]
    film = turn(write_film(tmp_path / "film.mp4", [UPRIGHT] * 3), matrix)
    for moment in Video(film, 30.0):
        wanted = shown(UPRIGHT)
        found = moment.read()
        assert found.shape == wanted.shape
        assert np.abs(found.astype(int) - wanted).mean() < 6


def test_a_film_that_stands_askew_is_refused_by_name(tmp_path: Path) -> None:
    film = turn(write_film(tmp_path / "film.mp4", [UPRIGHT] * 3), (0.866, 0.5, -0.5, 0.866))
    with pytest.raises(UnreadablePicture, match="frame 0: expected a film turned by quarters"):
        next(iter(Video(film, 30.0))).read()


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "ts"])
@pytest.mark.parametrize("pixel", [Fraction(4, 3), Fraction(2, 3)])
def test_pixels_that_are_no_squares_are_made_so(tmp_path: Path, ending: str, pixel: Fraction) -> None:
    codec = "mpeg2video" if ending == "ts" else "mpeg4"
    if codec == "mpeg2video":  # its header has four shapes of the whole picture only
        pixel = Fraction(4, 3) / Fraction(96, 64) if pixel > 1 else Fraction(16, 9) / Fraction(96, 64)
    film = write_film(tmp_path / f"film.{ending}", [UPRIGHT] * 8, rate=25, codec=codec, pixel=pixel)
    found = next(iter(Video(film, 30.0))).read()
    assert found.shape[1] / found.shape[0] == pytest.approx(96 / 64 * float(pixel), rel=0.02)
    assert min(found.shape[0] - 64, found.shape[1] - 96) == 0


def test_a_shape_is_applied_before_the_turn(tmp_path: Path) -> None:
    film = turn(write_film(tmp_path / "film.mp4", [UPRIGHT] * 3, pixel=Fraction(4, 3)), (0, -1, 1, 0))
    assert next(iter(Video(film, 30.0))).read().shape == (128, 64, 3)
    assert shown_size(720, 576, Fraction(1, 1000)) == (720, 576)
    assert shown_size(720, 576, None) == (720, 576)


@pytest.mark.parametrize("ending", ["mkv", "mp4", "mov"])
def test_a_cover_is_not_the_film(tmp_path: Path, ending: str) -> None:
    cover = np.full((300, 400, 3), 250, np.uint8)
    film = write_film(tmp_path / f"film.{ending}", numbered(12), cover=cover)
    assert seen(film) == list(range(12))


@pytest.mark.parametrize("name", ["09:00:00.mp4", "-film.mp4", "http:film.mp4", "100%d.mp4", "a b#?.mp4"])
def test_any_name_is_a_file_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_film(tmp_path / "film.mp4", numbered(3)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert seen(Path(name)) == [0, 1, 2]


def test_a_name_that_is_no_utf8_can_be_read(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/k\xe4fig.mp4")
    os.rename(write_film(tmp_path / "film.mp4", numbered(3)), name)
    assert [moment.read().shape for moment in Video(Path(name), 30.0)] == [(64, 96, 3)] * 3


@pytest.mark.parametrize("bad", [[0], [7], [11], [3, 4, 5], [2, 9]])
def test_a_picture_that_cannot_be_decoded_keeps_its_place(tmp_path: Path, bad: list[int]) -> None:
    """Each packet is a whole picture; those before and behind the bad ones are the right ones."""
    film = spoil(write_film(tmp_path / "film.avi", numbered(12), codec="mjpeg"), bad)
    assert seen(film) == [None if number in bad else number for number in range(12)]


@pytest.mark.parametrize(("ending", "bad"), [("mp4", 5), ("mp4", 11), ("mkv", 4), ("mp4", 0)])
def test_frames_that_build_on_each_other_keep_their_places(tmp_path: Path, ending: str, bad: int) -> None:
    """Coded in another order than shown: what comes is in its own place, and every place is there."""
    film = spoil(write_film(tmp_path / f"film.{ending}", numbered(12), codec="libx264"), [bad])
    found = seen(film)
    assert len(found) == 12
    assert None in found
    if bad:  # the first packet is what all others build on
        assert any(one is not None for one in found)
        assert found[0] == 0


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.avi", "mjpeg"), ("a.mp4", "mpeg4"), ("b.avi", "mpeg4"), ("a.mpg", "mpeg2video"), ("a.mkv", "libx264"),
        ("b.mp4", "libx264"), ("c.avi", "libx264"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("bad", [5, 19])
def test_what_a_decoder_makes_up_is_no_frame(tmp_path: Path, name: str, codec: str, bad: int) -> None:
    """Half of a packet is overwritten: the decoder fills the picture, and those behind it build on that."""
    film = write_film(tmp_path / name, textured(36), codec=codec)
    right = [moment.read().astype(int) for moment in Video(film, 30.0)]
    found = []
    for moment in Video(spoil(film, [bad], half=True), 30.0):
        try:
            found.append(bool(np.abs(moment.read() - right[moment.number]).mean() > 1))
        except UnreadablePicture:
            found.append(None)
    assert len(found) == 36
    assert None in found
    assert found[0] is False, "what was there before is shown"
    assert True not in found, "no frame is shown that is not as it was filmed"
    if codec == "mjpeg":
        assert found.count(None) == 1
    if codec in ("mpeg4", "mpeg2video"):  # a whole picture comes every 12 frames
        assert None not in found[24:]


def test_an_avi_that_was_cut_off_says_so(tmp_path: Path) -> None:
    """Its header still counts all frames; what is found without its index looks whole."""
    for codec, part in (("mjpeg", 0.5), ("mpeg4", 0.9), ("libx264", 0.7)):
        whole = write_film(tmp_path / "whole.avi", textured(40), codec=codec)
        video = Video(whole, 30.0)
        assert [round(moment.time_s * 10) for moment in video] == list(range(40))
        assert video.shortfall == ""
        cut = tmp_path / "cut.avi"
        cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * part)])
        video = Video(cut, 30.0)
        moments = list(video)
        assert 1 <= len(moments) < 40
        assert "of the 4.0 s that the file states" in video.shortfall
        if codec == "mjpeg":
            with pytest.raises(UnreadablePicture, match="cut"):  # the packet in which it was cut
                moments[-1].read()
            assert moments[-2].read().shape == (64, 96, 3)


def test_an_edit_list_hides_frames_without_alarm(tmp_path: Path) -> None:
    film = hide_first(write_film(tmp_path / "film.mp4", numbered(20), codec="libx264"), 5)
    video = Video(film, 30.0)
    assert [round((float(moment.read()[:16].mean()) - 20) / 5) for moment in video] == list(range(5, 20))
    assert (video.count, video.count_frames(), video.shortfall) == (15, 15, "")


def test_frames_have_their_own_times(tmp_path: Path) -> None:
    times = [0, 1, 2, 3, 40, 45, 50, 51]
    for ending in ("mp4", "mkv"):
        video = Video(write_film(tmp_path / f"film.{ending}", numbered(8), times=times), 30.0)
        assert [round(moment.time_s * 10) for moment in video] == times
        assert video.shortfall == ""


def test_a_film_that_begins_late_is_whole(tmp_path: Path) -> None:
    """Cut out of a longer one: its first time stamp is 5 s, and Matroska counts its length from 0."""
    video = Video(write_film(tmp_path / "late.mkv", numbered(12), times=list(range(50, 62))), 30.0)
    assert [round(moment.time_s * 10) for moment in video] == list(range(12))
    assert video.shortfall == ""


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "mpeg4"), ("a.mkv", "mpeg4"), ("a.webm", "libvpx-vp9"), ("a.ts", "libx264"), ("a.mpg", "mpeg2video"),
        ("a.avi", "mjpeg"), ("a.h264", "libx264"), ("a.mjpeg", "mjpeg"),
    ],
)  # fmt: skip
def test_frames_are_counted_where_no_header_does(tmp_path: Path, name: str, codec: str) -> None:
    video = Video(write_film(tmp_path / name, numbered(30), rate=25, codec=codec), 30.0)
    assert video.count_frames() == 30
    assert video.count is None or abs(video.count - 30) <= 1 or name == "a.mpg"  # its clock tells the time roughly
    assert [moment.number for moment in video] == list(range(30))
    assert video.shortfall == ""


def test_a_film_that_was_cut_off_says_so(tmp_path: Path) -> None:
    whole = write_film(tmp_path / "whole.mkv", numbered(40), codec="mjpeg").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    video = Video(tmp_path / "cut.mkv", 30.0)
    count = len(list(video))
    assert 10 < count < 30
    assert video.shortfall.startswith(f"its frames end after {count / 10:.1f} s of the 4.0 s that the file states")


def test_what_holds_no_film_is_named(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    (tmp_path / "text.mp4").write_text("no film\n" * 100)
    with pytest.raises(UnreadablePicture, match=r"text\.mp4 is no video that PyAV can open"):
        Video(tmp_path / "text.mp4", 30.0)
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 48_000
        for packet in [*stream.encode(sound), *stream.encode()]:
            container.mux(packet)
    with pytest.raises(UnreadablePicture, match=r"sound\.mp4 holds no video"):
        Video(tmp_path / "sound.mp4", 30.0)
