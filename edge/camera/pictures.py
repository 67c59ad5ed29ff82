"""Stored pictures in a row: a folder of images, or a video file. The only place that knows PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from edge.errors import CameraError, CameraMissing
from edge.frame import Image
from edge.image import read_image

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
VIDEOS = (
    *(".mp4", ".avi", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv", ".asf", ".flv", ".ogv", ".3gp"),
    *(".ts", ".mts", ".m2ts", ".mj2", ".mjpeg", ".h264", ".h265"),
)


class Pictures(Protocol):
    """A numbered row of pictures that can be gone through once, forwards."""

    frames_per_s: float
    """Their own pace."""
    count: int | None
    """How many they say they are; None where they do not say."""

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield each picture's number (from 0) and name; it is decoded only when asked for by `current`."""

    def current(self) -> Image:
        """Return the picture that `numbered` yielded last: uint8 (height, width, 3), RGB."""


def open_pictures(path: Path, frames_per_s: float) -> Pictures:
    """Return the pictures of a folder or a video.

    Raises:
        CameraMissing: there is nothing at the path, or no picture in it.
    """
    if path.is_dir():
        return FolderPictures(path, frames_per_s)
    if not path.exists():
        raise CameraMissing(f"{path} does not exist; name a folder of images or a video file")
    return VideoPictures(path, frames_per_s)


class FolderPictures:
    """The images of a folder by name."""

    def __init__(self, folder: Path, frames_per_s: float) -> None:
        """List them.

        Raises:
            CameraMissing: there is none, or the folder cannot be read.
        """
        self.frames_per_s = frames_per_s
        try:
            self.files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES)
        except OSError as error:
            raise CameraMissing(f"{folder}: cannot be read: {error.strerror}") from error
        if not self.files:
            raise CameraMissing(f"{folder} holds no images ({', '.join(IMAGES)})")
        self.count: int | None = len(self.files)
        self._at = self.files[0]

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield number and file name."""
        for number, path in enumerate(self.files):
            self._at = path
            yield number, path.name

    def current(self) -> Image:
        """Read the file: uint8 (height, width, 3), RGB."""
        return read_image(self._at)


class VideoPictures:
    """The frames of a video file, decoded one after the other."""

    def __init__(self, path: Path, frames_per_s: float) -> None:
        """Open it once to learn its pace and length.

        Raises:
            CameraMissing: no decoder is installed, or the file holds no video.
        """
        self._path = path
        try:
            import av
        except ImportError as error:
            raise CameraMissing(
                f'{path}: a video needs the package av (PyAV), it is not installed; pip install "cageclock[video]"'
            ) from error
        self._av = av
        try:
            with av.open(str(path)) as container:
                if not container.streams.video:
                    raise CameraMissing(f"{path} holds no video")
                stream = container.streams.video[0]
                rate, count = stream.average_rate, stream.frames
                if not count and rate and container.duration:
                    count = round(container.duration / av.time_base * rate)
        except (av.error.FFmpegError, OSError) as error:
            raise CameraMissing(f"{path} is no video that PyAV can open ({error})") from error
        self.frames_per_s = float(rate) if rate else frames_per_s
        self.count: int | None = count or None
        self._frame: object | None = None

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield number and `name#number`; frames that are passed over are decoded but never converted."""
        with self._av.open(str(self._path)) as container:
            container.streams.video[0].thread_type = "NONE"  # one core serves the whole device
            try:
                for number, frame in enumerate(container.decode(video=0)):
                    self._frame = frame
                    yield number, f"{self._path.name}#{number}"
            except self._av.error.FFmpegError as error:
                raise CameraError(f"{self._path}: damaged video ({error})") from error

    def current(self) -> Image:
        """Return the frame: uint8 (height, width, 3), RGB."""
        picture: Image = self._frame.to_ndarray(format="rgb24")  # type: ignore[union-attr]
        return picture
