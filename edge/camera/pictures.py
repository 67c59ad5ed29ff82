"""Stored pictures in a row: a folder of images, or a video file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from edge.errors import CameraMissing, OperatorError
from edge.footage.folder import IMAGES, count_kinds, list_pictures, why_absent
from edge.footage.picture import read_image
from edge.footage.video import Video
from edge.vision.frame import Image


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """One picture of a row: its number from 0, its name, and its time in seconds after the first one.

    read: returns uint8 (height, width, 3), RGB; raises UnreadablePicture.
    """

    number: int
    name: str
    time_s: float
    read: Callable[[], Image]


class Pictures(Protocol):
    """A numbered row of pictures; each iteration goes through it once, forwards.

    passed_over: what else lies in the folder, counted by kind, as text. shortfall: after an iteration, what is missing
        at a video's end, as text. Both are empty where there is nothing to report.
    """

    @property
    def passed_over(self) -> str: ...

    @property
    def shortfall(self) -> str: ...

    def __iter__(self) -> Iterator[Stored]:
        """Yield them; none is decoded in full before it is read."""

    def count_frames(self) -> int:
        """Return how many there are; of a video, its packets are counted."""


def open_pictures(path: Path, frames_per_s: float) -> Pictures:
    """Return the pictures of a folder or a video.

    frames_per_s: the pace of a folder, and of a video that states none.

    Raises:
        CameraMissing: there is nothing at the path, or no picture in it.
    """
    absent = why_absent(path)
    if absent:
        raise CameraMissing(f"{path} {absent}; name a folder of images or a video file")
    if path.is_dir():
        return FolderPictures(path, frames_per_s)
    return VideoPictures(path, frames_per_s)


class FolderPictures:
    """The images of a folder, img2 before img10."""

    def __init__(self, folder: Path, frames_per_s: float) -> None:
        """List them.

        Raises:
            CameraMissing: there is none, or the folder cannot be read.
        """
        try:
            listed = list_pictures(folder)
        except OSError as error:
            raise CameraMissing(f"{folder}: cannot be read: {error.strerror}") from error
        if not listed.files:
            others = f"; passed over: {count_kinds(listed.passed_over)}" if listed.passed_over else ""
            raise CameraMissing(f"{folder} holds no images ({', '.join(IMAGES)}){others}")
        self.files, self.passed_over, self.shortfall = listed.files, count_kinds(listed.passed_over), ""
        self._frames_per_s = frames_per_s

    def __iter__(self) -> Iterator[Stored]:
        """Yield each file; it is read when asked for."""
        for number, path in enumerate(self.files):
            yield Stored(number, path.name, number / self._frames_per_s, partial(read_image, path))

    def count_frames(self) -> int:
        """Return how many files there are."""
        return len(self.files)


class VideoPictures:
    """The frames of a video file, named `name#number`."""

    def __init__(self, path: Path, frames_per_s: float) -> None:
        """Open it once.

        Raises:
            CameraMissing: no decoder is installed, or the file holds no video.
        """
        self.passed_over = ""
        try:
            self._video = Video(path, frames_per_s)
        except OperatorError as error:
            raise CameraMissing(str(error)) from error

    def __iter__(self) -> Iterator[Stored]:
        """Yield each frame; it is converted when it is read."""
        for one in self._video:
            yield Stored(one.number, f"{self._video.path.name}#{one.number}", one.time_s, one.read)

    @property
    def shortfall(self) -> str:
        """What is missing at the end, as text."""
        return self._video.shortfall

    def count_frames(self) -> int:
        """Return how many frames there are."""
        return self._video.count_frames()
