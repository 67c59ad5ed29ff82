"""The frames of a video as a player shows them, numbered and timed: the one reader of videos, and of PyAV's.

Tried with PyAV 12.0 (Python 3.11), 14.2 (3.13; that of Debian 13), 18.1 and 19.0: in all of them a frame's side data
hold the display matrix, that of the container or of the codec.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from edge.errors import OperatorError, UnreadablePicture
from edge.footage.damage import MOST_HELD, Damage
from edge.footage.order import FrameOrder
from edge.footage.picture import MOST_PIXELS
from edge.footage.stream import STREAMED, frame_count, length_s, main_stream, numbered_by_decoding, shown_size
from edge.footage.times import Extent, Times
from edge.footage.turn import UPRIGHT, turn_of_matrix
from edge.vision.frame import Image

_FAILURES = 16
"""How often in a row a container may fail to give a packet before it counts as ended."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One frame's number from 0, its time in seconds after the first one, and how to get it."""

    number: int
    time_s: float
    read: Callable[[], Image]
    """Returns uint8 (height, width, 3), RGB, as a player shows it; raises UnreadablePicture."""


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A frame that is not yet judged. frame: None for one that never came. why: the decoder's last complaint."""

    number: int
    time_s: float
    ticks: int | None
    frame: Any
    pixel: Fraction | None
    why: str


class Video:
    """One video file. Each iteration goes through it anew, and decodes on one core."""

    frames_per_s: float
    """The mean, by what the file states."""
    count: int | None
    """How many frames a player shows, by what the file states; None where it states nothing."""

    def __init__(self, path: Path, frames_per_s: float) -> None:
        """Open it once to learn its pace and length. frames_per_s: where it states none.

        Raises:
            OperatorError: no decoder is installed.
            UnreadablePicture: the file holds no video.
        """
        self.path = path
        self.shortfall = ""
        """After an iteration: what is missing at the end of the file, as text; empty where it is whole."""
        try:
            import av
        except ImportError as error:
            raise OperatorError(
                f'{path}: a video needs the package av (PyAV), it is not installed; pip install "cageclock[video]"'
            ) from error
        self._av = av
        with self._opened() as container:
            self._index = main_stream(container)
            stream = container.streams[self._index]
            rate = stream.average_rate or stream.guessed_rate or None
            self.frames_per_s = float(rate) if rate else frames_per_s
            self._length_s = length_s(container, stream, float(rate) if rate else None)
            self.count = frame_count(container, stream, float(rate) if rate else None)

    def __iter__(self) -> Iterator[Moment]:
        """Yield the frames in the order of their times; one that cannot be decoded has its place, and raises when read.

        So does one of which the decoder made up a part, and one that builds on such a frame. A frame that is passed
        over is decoded, but never converted.
        """
        self.shortfall = ""
        with self._opened() as container:
            stream = container.streams[self._index]
            stream.thread_type = "NONE"  # one core serves the whole device
            if stream.codec_context.codec.intra_only or stream.codec_context.name == "hevc":
                # The others mark what they made up, and strict ones refuse whole pictures, too.
                stream.codec_context.options = {"err_detect": "explode"}
            damage = Damage(shown_by_time=not numbered_by_decoding(container, stream))
            held = deque[_Held]()
            for one in self._decoded(container, stream, damage):
                held.append(one)
                while held and (len(held) > MOST_HELD or held[0].frame is None or not damage.is_open(held[0].ticks)):
                    yield self._judged(held.popleft(), damage)
            for one in held:
                yield self._judged(one, damage)

    def _decoded(self, container: Any, stream: Any, damage: Damage) -> Iterator[_Held]:
        """Yield the frames in the order of their times, those included that no decoder could make."""
        ticks_per_s = float(1 / stream.time_base)
        order, times, extent = FrameOrder(ticks_per_s), Times(ticks_per_s, self.frames_per_s), Extent()
        indexed, why = container.format.name not in STREAMED, ""
        stamps = list[int]() if numbered_by_decoding(container, stream) else None
        pixel = stream.sample_aspect_ratio  # now: a frame outlives its file, which is closed behind the last one

        def lost(ticks: int | None) -> _Held:
            damage.lost(ticks)
            return _Held(*times.next(heappop(stamps) if stamps else ticks), ticks, None, pixel, why)

        for packet in self._packets(container, stream):
            frames = []
            try:
                if packet is None:
                    frames = stream.codec_context.decode(None)
                else:
                    if not packet.is_discard:
                        shown_at = packet.pts if stamps is None else None
                        order.sent(shown_at, packet.dts, indexed or packet.is_keyframe)
                        if stamps is not None and packet.pts is not None:
                            heappush(stamps, packet.pts)
                        extent.add(packet.pts, packet.duration)
                    if order.begun:
                        damage.sent(
                            packet.pts,
                            whole=packet.is_keyframe,
                            disposable=packet.is_disposable,
                            damaged=packet.is_corrupt,
                        )
                    frames = packet.decode()
            except self._av.error.FFmpegError as error:
                why = error.strerror or str(error)
                order.refused(None if packet is None or stamps is not None else packet.pts)
                if order.begun:
                    damage.refused()
            for frame in frames:
                shown_at = frame.pts if stamps is None else None
                yield from map(lost, order.came(shown_at, bool(frame.interlaced_frame)))
                damage.came(frame.pts, whole=bool(frame.key_frame), damaged=bool(frame.is_corrupt))
                yield _Held(*times.next(heappop(stamps) if stamps else shown_at), frame.pts, frame, pixel, "")
        yield from map(lost, order.rest())
        self.shortfall = extent.shortfall(self._length_s, ticks_per_s, self.frames_per_s)

    def count_frames(self) -> int:
        """Return how many frames the file holds: its packets are counted, which takes as long as reading it."""
        with self._opened() as container:
            packets = self._packets(container, container.streams[self._index])
            return sum(packet is not None and not packet.is_discard for packet in packets)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with _openable(self.path) as source, self._av.open(source) as container:
                if not container.streams.video:
                    raise UnreadablePicture(f"{self.path} holds no video")
                yield container
        except (self._av.error.FFmpegError, OSError) as error:
            why = getattr(error, "strerror", None) or error
            raise UnreadablePicture(f"{self.path} is no video that PyAV can open ({why})") from error

    def _packets(self, container: Any, stream: Any) -> Iterator[Any]:
        """Yield what is to be decoded and shown, and at the end None; what an edit list hides is decoded here."""
        failures = 0
        while failures < _FAILURES:
            try:
                for packet in container.demux(stream):
                    if packet.size:
                        failures = 0
                        yield packet
                break
            except self._av.error.FFmpegError:
                failures += 1
        yield None

    def _judged(self, held: _Held, damage: Damage) -> Moment:
        """Return the frame, which raises when it is read where it shows what was never seen."""
        if held.frame is None:
            return self._lost(held, f"cannot be decoded ({held.why or 'nothing came of it'})")
        wrong = damage.of(held.ticks)
        if wrong:
            return self._lost(held, wrong)
        return Moment(held.number, held.time_s, lambda: self._converted(held.number, held.frame, held.pixel))

    def _lost(self, held: _Held, what: str) -> Moment:
        def read() -> Image:
            raise UnreadablePicture(f"{self.path}: frame {held.number} {what}")

        return Moment(held.number, held.time_s, read)

    def _converted(self, number: int, frame: Any, pixel: Fraction | None) -> Image:
        """Return the frame as a player shows it: in the pixels' shape first, then turned."""
        width, height = shown_size(frame.width, frame.height, pixel)
        if width * height > MOST_PIXELS:
            most = MOST_PIXELS // 1_000_000
            raise UnreadablePicture(
                f"{self.path}: frame {number}: expected at most {most} megapixels, got {width}x{height}"
            )
        matrix = frame.side_data.get("DISPLAYMATRIX")
        turn = UPRIGHT if matrix is None else turn_of_matrix(struct.unpack("=9i", bytes(matrix)[:36]))
        if turn is None:
            raise UnreadablePicture(
                f"{self.path}: frame {number}: expected a film turned by quarters or not at all, got a display matrix "
                "of another angle; turn it with a video editor"
            )
        try:
            return turn.of(frame.to_ndarray(format="rgb24", width=width, height=height))
        except (self._av.error.FFmpegError, ValueError, MemoryError) as error:
            raise UnreadablePicture(f"{self.path}: frame {number} cannot be converted to RGB ({error})") from error


@contextmanager
def _openable(path: Path) -> Iterator[Any]:
    """Yield what PyAV opens: the name, so marked that none is taken for a protocol (09:00:00.mp4) or an option."""
    name = f"file:{os.fspath(path)}"
    try:
        name.encode()
    except UnicodeEncodeError:  # a name that is no UTF-8 cannot be handed over
        with path.open("rb") as file:
            yield file
    else:
        yield name
