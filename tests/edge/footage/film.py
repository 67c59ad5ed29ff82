"""Short films of given pictures, and what can be wrong with them."""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def write_film(
    path: Path,
    pictures: Iterable[np.ndarray],
    rate: int = 10,
    *,
    codec: str = "mpeg4",
    pixel: Fraction | None = None,
    times: Sequence[int] | None = None,
    cover: np.ndarray | None = None,
) -> Path:
    """Write pictures of one size, uint8 (height, width, 3) RGB, as a film; without PyAV the test is skipped.

    pixel: a stored pixel's width by its height. times: of the frames, in 1/rate s, instead of 0, 1, 2, ...
    cover: a picture in a stream of its own, before the film's.
    """
    av = pytest.importorskip("av", reason="PyAV is not installed")
    pictures = list(pictures)
    with av.open(f"file:{path}", "w") as container:
        if cover is not None:
            still = _stream(container, "mjpeg", rate, cover)
        stream = _stream(container, codec, rate, pictures[0])
        if pixel is not None:
            stream.codec_context.sample_aspect_ratio = pixel
        if cover is not None:
            _mux(av, container, still, [cover], range(1), rate)
        _mux(av, container, stream, pictures, times or range(len(pictures)), rate)
    return path


def turn(path: Path, matrix: Sequence[float]) -> Path:
    """Write a display matrix (a, b, c, d) into an MP4's track header (ISO/IEC 14496-12, 8.3.2)."""
    a, b, c, d = (round(value * 65536) for value in matrix)
    whole = bytearray(path.read_bytes())
    at = whole.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    whole[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(whole))
    return path


def hide_first(path: Path, frames: int, rate: int = 10) -> Path:
    """Hide an MP4's first frames with its edit list, as a cut without encoding does."""
    whole = bytearray(path.read_bytes())
    at = whole.index(b"elst") + 12
    duration, begin = struct.unpack(">Ii", whole[at : at + 8])
    movie = struct.unpack(">I", whole[whole.index(b"mvhd") + 16 :][:4])[0]
    media = struct.unpack(">I", whole[whole.index(b"mdhd") + 16 :][:4])[0]
    shorter = duration - frames * movie // rate
    whole[at : at + 8] = struct.pack(">Ii", shorter, begin + frames * media // rate)
    path.write_bytes(bytes(whole))
    return path


def spoil(path: Path, numbers: Iterable[int], *, half: bool = False) -> Path:
    """Overwrite the packets of these numbers, in the order of the file, with zeros; or the second half of each."""
    av = pytest.importorskip("av", reason="PyAV is not installed")
    with av.open(f"file:{path}") as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    whole = path.read_bytes()
    for number in numbers:
        packet = packets[number]
        kept = len(packet) // 2 if half else 0
        if whole.count(packet) != 1:  # MPEG-PS puts heads of its own in between
            packet, kept = packet[-len(packet) // 4 :], 0
        assert whole.count(packet) == 1
        whole = whole.replace(packet, packet[:kept] + bytes(len(packet) - kept))
    path.write_bytes(whole)
    return path


def _stream(container: Any, codec: str, rate: int, picture: np.ndarray) -> Any:
    stream = container.add_stream(codec, rate=rate)
    stream.height, stream.width = picture.shape[:2]
    stream.bit_rate, stream.pix_fmt = 8_000_000, "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return stream


def _mux(av: Any, container: Any, stream: Any, pictures: Iterable[np.ndarray], times: Any, rate: int) -> None:
    for time, picture in zip(times, pictures, strict=True):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = time, Fraction(1, rate)
        for packet in stream.encode(frame):
            container.mux(packet)
    for packet in stream.encode():
        container.mux(packet)
