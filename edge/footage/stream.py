"""Which of a file's streams is the film, how long it is, and in what shape it is shown, by what the file states."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

STREAMED = ("mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc")
"""Formats without an index: a recording may begin in the middle, with packets that no frame can be made of."""
_PACKETS_LOOKED_AT = 200
_ODDEST_PIXEL = 16
"""Pixels longer than this by their width are a mistake of the file."""


def main_stream(container: Any) -> int:
    """Return the index of the film: no attached picture, no stream of one packet; what is marked as default first.

    Of several that are left, the one with the most frames in the file's first part, then the largest.
    """
    streams = list(container.streams.video)
    streams = [one for one in streams if not _is(one, "attached_pic")] or streams
    if len(streams) == 1:
        return int(streams[0].index)
    packets = dict.fromkeys((one.index for one in streams), 0)
    for seen, packet in enumerate(container.demux(streams)):
        packets[packet.stream_index] += packet.size > 0
        if seen == _PACKETS_LOOKED_AT * len(streams):
            break
    moving = [one for one in streams if packets[one.index] > 1] or streams
    best = max(moving, key=lambda one: (_is(one, "default"), packets[one.index], one.width * one.height, -one.index))
    return int(best.index)


def length_s(container: Any, stream: Any, rate: float | None) -> float | None:
    """Return how long the film is by what the file states; the container's length may be that of its sound.

    The length of an AVI is FFmpeg's estimate by the size of the file, where the header's count of frames says more.
    """
    if container.format.name == "avi" and stream.frames and rate:
        return max(float(stream.duration or 0) * float(stream.time_base), float(stream.frames / rate))
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:
        return float(container.duration / 1_000_000)
    return None


def frame_count(container: Any, stream: Any, rate: float | None) -> int | None:
    """Return how many frames a player shows: those that the file counts, less those that an edit list hides."""
    lasts_s = length_s(container, stream, rate) or (container.duration or 0) / 1_000_000
    by_time = round(lasts_s * rate) if rate else 0
    if stream.frames and by_time:
        return max(1, min(int(stream.frames), by_time))
    return int(stream.frames) or by_time or None


def numbered_by_decoding(container: Any, stream: Any) -> bool:
    """Return whether the packets' time stamps only number them: an AVI whose frames are shown in another order."""
    return container.format.name == "avi" and not stream.codec_context.codec.intra_only


def shown_size(width: int, height: int, pixel: Fraction | None) -> tuple[int, int]:
    """Return width and height in square pixels: one side grows, none shrinks (as the HTML standard has players do).

    pixel: a stored pixel's width by its height; None and what cannot be mean square ones.
    """
    if not pixel or not 1 / _ODDEST_PIXEL <= pixel <= _ODDEST_PIXEL:
        return width, height
    if pixel > 1:
        return round(width * pixel), height
    return width, round(height / pixel)


def _is(stream: Any, flag: str) -> bool:
    """Return whether a stream is marked so; PyAV knows of marks from 14 on."""
    marks = getattr(stream, "disposition", None)
    return marks is not None and bool(marks & getattr(type(marks), flag))
