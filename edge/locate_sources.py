"""What `cageclock locate` looks at, and which CSV each of it goes to: settled before anything is looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.camera.pictures import IMAGES, VIDEOS, FolderPictures, VideoPictures
from edge.errors import CameraError, CameraMissing, OperatorError
from edge.frame import Image
from edge.image import read_image

_PACE = 30.0
"""Frames a second of a video that does not say."""


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """Pictures that have nothing to do with each other; a row is named by the picture's path."""

    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """What they are called where progress is told."""
        return "pictures"

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.files)

    def rows(self) -> Iterator[tuple[str, Image]]:
        """Yield the name of each row and the picture, uint8 (height, width, 3) RGB.

        Raises:
            OperatorError: a file is no whole picture.
        """
        for path in self.files:
            yield str(path), read_image(path)


@dataclass(frozen=True, slots=True)
class VideoFile:
    """Each `every`-th frame of a video, the first included; a row is named by the frame's number, from 0."""

    path: Path
    video: VideoPictures
    every: int

    @property
    def name(self) -> str:
        """What it is called where progress is told."""
        return self.path.name

    @property
    def count(self) -> int | None:
        """How many frames will be looked at by what the file says of itself; None where it does not say."""
        return None if self.video.count is None else -(-self.video.count // self.every)

    @property
    def frames_per_s(self) -> float:
        """Of the frames that are looked at."""
        return self.video.frames_per_s / self.every

    def rows(self) -> Iterator[tuple[str, Image]]:
        """Yield the name of each row and the frame, uint8 (height, width, 3) RGB.

        Raises:
            OperatorError: the video is damaged, or holds no frame.
        """
        number = -1
        try:
            for number, _ in self.video.numbered():
                if number % self.every == 0:
                    yield str(number), self.video.current()
        except CameraError as error:
            raise OperatorError(f"{error} after {number + 1} whole frames; copy it again or re-encode it") from error
        if number < 0:
            raise OperatorError(f"{self.path}: expected a video, it holds no frame")


def plan(sources: Sequence[Path], out: Path, every: int = 1) -> list[tuple[PictureFiles | VideoFile, Path]]:
    """Return what to look at, each with its CSV: all pictures in one, each video in its own.

    A folder stands for its pictures by name. `out` is the CSV of pictures or of one video; an existing folder takes
    `<video>.csv` of one video; several videos need a folder, which is made.

    Raises:
        OperatorError: a source is missing or nothing that can be looked at, pictures and videos are mixed, or `out`
            does not suit them.
    """
    for source in sources:
        if not os.path.exists(source):  # unlike Path's, it has an answer for what may not be looked at, too
            raise OperatorError(f"{source} does not exist; name pictures, folders of pictures or videos")
    videos = [source for source in sources if source.suffix.lower() in VIDEOS and not os.path.isdir(source)]
    if videos and len(videos) < len(sources):
        other = next(source for source in sources if source not in videos)
        raise OperatorError(
            f"expected pictures or videos, got both: {other} and {videos[0]}; a CSV's rows are either paths or frame "
            "numbers, so call locate once for each"
        )
    if every > 1 and not videos:
        raise OperatorError(f"--every {every}: leaves out frames of a video, but the sources are pictures")
    if out.suffix.lower() in (*IMAGES, *VIDEOS):
        raise OperatorError(f"--dlc-csv: expected the name of a CSV to write, got {out}, a picture or a video by name")
    if not videos:
        if os.path.isdir(out):
            raise OperatorError(f"--dlc-csv: expected a file for the rows of all pictures, got the folder {out}")
        return [(PictureFiles(tuple(file for source in sources for file in _pictures(source))), out)]
    opened = [VideoFile(path, _opened(path), every) for path in videos]
    return list(zip(opened, _outputs(videos, out), strict=True))


def _pictures(source: Path) -> list[Path]:
    if not os.path.isdir(source):
        return [source]
    try:
        return FolderPictures(source, _PACE).files
    except CameraMissing as error:
        raise OperatorError(f"{error}; videos are named one by one") from error


def _opened(path: Path) -> VideoPictures:
    try:
        return VideoPictures(path, _PACE)
    except CameraMissing as error:
        raise OperatorError(str(error)) from error


def _outputs(videos: list[Path], out: Path) -> list[Path]:
    """Return each video's CSV; makes the folder of several."""
    if len(videos) == 1 and not os.path.isdir(out):
        return [out]
    if not os.path.isdir(out) and (os.path.exists(out) or out.suffix.lower() == ".csv"):
        raise OperatorError(
            f"--dlc-csv: expected a folder, as {len(videos)} videos make a CSV each, got the file name {out}"
        )
    first: dict[str, Path] = {}
    for path in videos:
        other = first.setdefault(path.stem, path)
        if other is not path:
            raise OperatorError(
                f"{other} and {path} would both be written to {out / path.stem}.csv; rename one or call locate twice"
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"--dlc-csv: {out}: cannot make the folder: {error.strerror}") from error
    return [out / f"{path.stem}.csv" for path in videos]
