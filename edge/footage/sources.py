"""What `cageclock locate` reads, and which CSV each of it goes to: decided before anything is read."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from edge.errors import OperatorError
from edge.footage.folder import IMAGES, VIDEOS, count_kinds, list_pictures, why_absent
from edge.footage.picture import read_picture
from edge.footage.video import Video
from edge.vision.frame import Image

_PACE = 30.0
"""Frames a second of a video that states none."""

Row = tuple[str, Callable[[], Image]]
"""A row's name, and what returns its picture, uint8 (height, width, 3) RGB, or raises UnreadablePicture."""


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """Pictures that have nothing to do with each other; a row is named by the picture's path.

    passed_over: what else lay in the folders, by kind. guessed: filled while they are read, how many were scaled by a
        depth that the file does not state.
    """

    files: tuple[Path, ...]
    passed_over: Counter[str] = field(default_factory=Counter)
    guessed: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        """The name to show with progress."""
        return "pictures"

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.files)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        for path in self.files:
            yield str(path), partial(self._read, path)

    def notes(self) -> list[str]:
        """Return what to report once all were read."""
        notes = [f"passed over in the folders: {count_kinds(self.passed_over)}"] if self.passed_over else []
        if self.guessed:
            depths = count_kinds(self.guessed)
            text = f"brightness was scaled by a depth that the files do not state: {depths}"
            notes.append(f"{text}; see docs/pictures-and-videos.md")
        return notes

    shortfall: ClassVar[str] = ""
    """Each picture stands for itself: nothing is missing at an end."""

    def _read(self, path: Path) -> Image:
        picture = read_picture(path)
        if picture.depth:
            self.guessed[picture.depth] += 1
        return picture.pixels


class VideoFile:
    """Each `every`-th frame of a video, the first included; a row is named by the frame's number, from 0."""

    def __init__(self, path: Path, every: int) -> None:
        """Open it.

        Raises:
            OperatorError: no decoder is installed.
            UnreadablePicture: the file holds no video.
        """
        self.path, self._every = path, every
        self._video = Video(path, _PACE)

    @property
    def name(self) -> str:
        """The name to show with progress."""
        return self.path.name

    @property
    def count(self) -> int | None:
        """How many frames will be read, by what the file states; None where it states nothing."""
        return None if self._video.count is None else -(-self._video.count // self._every)

    @property
    def frames_per_s(self) -> float:
        """The pace of the frames that are read."""
        return self._video.frames_per_s / self._every

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order, those of frames that cannot be decoded included."""
        for one in self._video:
            if one.number % self._every == 0:
                yield str(one.number), one.read

    @property
    def shortfall(self) -> str:
        """What is missing at the end by the length that the file states, as text; empty where it is whole."""
        return self._video.shortfall

    def notes(self) -> list[str]:
        """Return what to report once all were read."""
        return [f"{self.path}: {self.shortfall}"] if self.shortfall else []


SourceAndCsv = tuple[Callable[[], PictureFiles | VideoFile], Path]
"""What opens a source, and its CSV."""


def assign_csvs(sources: Sequence[Path], out: Path, every: int = 1) -> list[SourceAndCsv]:
    """Return what to look at, each with its CSV: all pictures in one, each video in its own.

    A folder stands for its pictures in natural order. `out` is the CSV of pictures or of one video; an existing folder
    takes `<video>.csv` of one video; several videos need a folder, which is made. Videos of one stem (a.mp4, a.mkv)
    have their whole names in those of their CSVs: a.mp4.csv, a.mkv.csv.

    Raises:
        OperatorError: a source is missing or nothing that can be looked at, pictures and videos are mixed, or `out`
            does not suit them.
    """
    for source in sources:
        absent = why_absent(source)
        if absent:
            raise OperatorError(f"{source} {absent}; name pictures, folders of pictures or videos")
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
    if videos:
        opened = [partial(VideoFile, path, every) for path in videos]
        return list(zip(opened, _outputs(videos, out), strict=True))
    if os.path.isdir(out):
        raise OperatorError(f"--dlc-csv: expected a file for the rows of all pictures, got the folder {out}")
    pictures = _pictures(sources)
    return [(lambda: pictures, out)]


def _pictures(sources: Sequence[Path]) -> PictureFiles:
    files: list[Path] = []
    passed_over = Counter[str]()
    for source in sources:
        if not os.path.isdir(source):
            files.append(source)
            continue
        try:
            listed = list_pictures(source)
        except OSError as error:
            raise OperatorError(f"{source}: cannot be read: {error.strerror}") from error
        if not listed.files:
            others = f"; passed over: {count_kinds(listed.passed_over)}" if listed.passed_over else ""
            raise OperatorError(f"{source} holds no images ({', '.join(IMAGES)}){others}; videos are named one by one")
        files += listed.files
        passed_over += listed.passed_over
    return PictureFiles(tuple(files), passed_over)


def _outputs(videos: list[Path], out: Path) -> list[Path]:
    """Return each video's CSV; makes the folder of several."""
    if len(videos) == 1 and not os.path.isdir(out):
        return [out]
    if not os.path.isdir(out) and (os.path.exists(out) or out.suffix.lower() == ".csv"):
        raise OperatorError(
            f"--dlc-csv: expected a folder, as {len(videos)} videos make a CSV each, got the file name {out}"
        )
    stems = Counter(path.stem for path in videos)
    outputs = [out / f"{path.stem if stems[path.stem] == 1 else path.name}.csv" for path in videos]
    first: dict[Path, Path] = {}
    for path, csv in zip(videos, outputs, strict=True):
        other = first.setdefault(csv, path)
        if other is not path:
            raise OperatorError(f"{other} and {path} would both be written to {csv}; rename one or call locate twice")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"--dlc-csv: {out}: cannot make the folder: {error.strerror}") from error
    return outputs
