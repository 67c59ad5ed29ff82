"""What capture and the candidate's process say to each other over two pipes: lengths, JSON, then the frames' bytes."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.config.tree import Quality as Limits
from edge.contract import jsontext
from edge.contract.base import Struct
from edge.contract.reading import CameraState, Light
from edge.errors import MessageError
from edge.vision.frame import Frame

Bytes = NDArray[np.uint8]
_HEAD = 8
MAX_JSON = 200_000
MAX_PLANE = 400_000_000
Side = Annotated[int, msgspec.Meta(ge=1, le=20_000)]


class Late(Exception):
    """The other side did not answer in time, or is gone."""


class Begin(Struct, frozen=True, kw_only=True):
    """What the candidate's process has to know before the first frame; see `edge.vision.observe.ObserveSettings`."""

    limits: Limits
    expected_animals: int
    subject: str | None
    strain: str | None
    nest_box: tuple[float, float, float, float] | None
    threads: int


class FrameHead(Struct, frozen=True, kw_only=True):
    """One frame without its pixels."""

    main: tuple[Side, Side]
    small_width: Side
    triggered_at_s: float
    exposed_at_s: float
    px_per_mm: float | None
    state: CameraState


class Ask(Struct, frozen=True, kw_only=True):
    """A burst of frames; their pixels follow."""

    light: Light
    frames: tuple[FrameHead, ...]


def ask_of(frames: Sequence[Frame], light: Light) -> tuple[Ask, list[Bytes]]:
    """Return the head of a burst, and its planes in the order in which they follow."""
    heads, planes = [], []
    for frame in frames:
        heads.append(
            FrameHead(
                main=(frame.main.shape[0], frame.main.shape[1]),
                small_width=frame.small_width,
                triggered_at_s=frame.triggered_at_s,
                exposed_at_s=frame.exposed_at_s,
                px_per_mm=frame.px_per_mm,
                state=frame.state,
            )
        )
        planes.append(np.ascontiguousarray(frame.main))
    return Ask(light=light, frames=tuple(heads)), planes


def frames_of(ask: Ask, handle: int) -> list[Frame]:
    """Return the frames of a head, their pixels read from the pipe.

    Raises:
        Late: the other side is gone.
    """
    frames = []
    for head in ask.frames:
        main = _plane(handle, (*head.main, 3))
        times = head.triggered_at_s, head.exposed_at_s
        frames.append(Frame(main, *times, head.state, head.px_per_mm, head.small_width))
    return frames


def encode(message: Struct) -> bytes:
    """Return a message with its length before it."""
    body = jsontext.encode(message)
    return len(body).to_bytes(_HEAD, "big") + body


def write_all(handle: int, content: bytes | memoryview, until_s: float) -> None:
    """Write everything to a pipe that does not block.

    Raises:
        Late: it is not taken in time, or nobody reads it any more.
    """
    view = memoryview(content).cast("B")
    while view:
        if not select.select([], [handle], [], max(0.0, until_s - time.monotonic()))[1]:
            raise Late("it takes nothing more")
        try:
            view = view[os.write(handle, view[: 1 << 20]) :]
        except BlockingIOError:
            continue
        except OSError as error:
            raise Late("it has ended") from error


def read_message(handle: int, until_s: float | None) -> bytes:
    """Return the body of the next message; until_s: None waits for ever.

    Raises:
        Late: it does not come in time, or nobody writes any more.
        MessageError: it is longer than MAX_JSON.
    """
    length = int.from_bytes(read_exactly(handle, _HEAD, until_s), "big")
    if length > MAX_JSON:
        raise MessageError(f"expected at most {MAX_JSON} bytes, got {length}")
    return read_exactly(handle, length, until_s)


def read_exactly(handle: int, count: int, until_s: float | None) -> bytes:
    """Return so many bytes; raises as `read_message`."""
    found = bytearray()
    while len(found) < count:
        if until_s is not None:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([handle], [], [], left_s)[0]:
                raise Late("it did not answer in time")
        chunk = os.read(handle, min(1 << 20, count - len(found)))
        if not chunk:
            raise Late("it has ended")
        found += chunk
    return bytes(found)


def _plane(handle: int, shape: tuple[int, ...]) -> Bytes:
    count = int(np.prod(shape))
    if count > MAX_PLANE:
        raise MessageError(f"expected a plane of at most {MAX_PLANE} bytes, got {count}")
    return np.frombuffer(read_exactly(handle, count, None), np.uint8).reshape(shape)
