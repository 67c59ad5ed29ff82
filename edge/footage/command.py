"""`cageclock locate`: body parts of pictures and videos into DeepLabCut CSVs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge.contract.bundle.bundle import read_bundle
from edge.contract.bundle.keys import read_trusted_keys
from edge.errors import EXIT_PASSED_OVER, OperatorError, UnreadablePicture
from edge.footage.deeplabcut_csv import KeypointCsv
from edge.footage.faults import Faults
from edge.footage.find import Found, by_likelihood, by_place, can_show_an_animal
from edge.footage.sources import PictureFiles, SourceAndCsv, VideoFile, assign_csvs
from edge.footage.tracks import MOST_TRACKS
from edge.host.progress import progress
from edge.vision.frame import Image
from edge.vision.model.loaded import LoadedModel, load_model

INTERRUPTED = 130
"""128 + SIGINT, as shells have it: an analysis that was not finished must not look like one that was."""


class Options(Protocol):
    """The command line: key None trusts the demo bundle's key only."""

    sources: list[Path]
    bundle: Path
    key: list[Path] | None
    px_per_mm: float | None
    animals: int
    every: int
    dlc_csv: Path


def run(options: Options) -> int:
    """Write the CSVs and return the exit code.

    0; 7 where some of the pictures, frames or videos could not be read and were passed over, each of them named; 130
    after Ctrl-C, which leaves only CSVs that are whole.

    Raises:
        BundleError: the bundle must not be used.
        OperatorError: nothing at all could be read, a source does not exist, a key or a CSV cannot be read or written,
            or an option is out of its range.
    """
    _check(options)
    try:
        return _locate_all(options)
    except KeyboardInterrupt:
        _warn("interrupted; the unfinished CSV was not written, those named above are whole")
        return INTERRUPTED


def _check(options: Options) -> None:
    if options.px_per_mm is not None and not 0 < options.px_per_mm < 1000:
        raise OperatorError(f"--px-per-mm: expected a number above 0 and below 1000, got {options.px_per_mm:g}")
    if not 1 <= options.animals <= MOST_TRACKS:
        raise OperatorError(f"--animals: expected 1 to {MOST_TRACKS}, got {options.animals}")
    if options.every < 1:
        raise OperatorError(f"--every: expected at least 1, got {options.every}")


def _locate_all(options: Options) -> int:
    keys = read_trusted_keys(options.key)
    assigned = assign_csvs(options.sources, options.dlc_csv, options.every)
    model = load_model(read_bundle(options.bundle, keys))
    failed, whole = 0, True
    for one in assigned:
        try:
            whole &= _locate(one, model, options)
        except UnreadablePicture as error:
            if len(assigned) == 1:
                raise
            failed += 1
            _warn(f"{error}; passed over")
    if failed == len(assigned):
        raise OperatorError(f"none of the {failed} videos could be read; see the reasons above")
    if failed:
        _warn(f"{failed} of {len(assigned)} videos could not be read, and have no CSV")
    return EXIT_PASSED_OVER if failed or not whole else 0


def _locate(assigned: SourceAndCsv, model: LoadedModel, options: Options) -> bool:
    """Write one CSV, row by row, print how many pictures have an animal, and return whether all could be read.

    Raises:
        UnreadablePicture: none could.
    """
    source, out = assigned[0](), assigned[1]
    seen = _Seen()
    scorer = f"cageclock_{model.manifest.name}_{model.sha256[:12]}"
    with KeypointCsv(out, model.manifest.parts.keypoints, scorer, options.animals) as table:
        find = _finder(source, model, options)
        for name, read in progress(source.rows(), source.count, source.name, line_s=None):
            table.add(name, seen.add(name, read, find) or [()] * options.animals)
        if seen.looked_at == len(seen.faults):
            raise seen.faults.nothing_read(source.name)
    film = isinstance(source, VideoFile)
    several = f", {seen.animals} animals in all" if options.animals > 1 else ""
    unread = f"; {len(seen.faults)} could not be read" if seen.faults else ""
    what = "frames" if film else "pictures"
    print(f"{out}: an animal in {seen.with_animal} of {seen.looked_at} {what}{several}{unread}", flush=True)
    for text in seen.faults.frames() if film else seen.faults.lines():
        _warn(text)
    for text in seen.narrow.lines():
        _warn(f"{text}: too small or too narrow to show an animal")
    for text in source.notes():
        _warn(text)
    return not seen.faults and not source.shortfall


class _Seen:
    """The counts of one source: pictures read, animals found, faults."""

    def __init__(self) -> None:
        self.faults, self.narrow = Faults(), Faults()
        self.looked_at = self.with_animal = self.animals = 0

    def add(self, name: str, read: Callable[[], Image], find: Callable[[Image], Found]) -> Found | None:
        """Return what is found in the next picture, None where it cannot be read."""
        self.looked_at += 1
        try:
            picture = read()
        except UnreadablePicture as error:
            self.faults.add(name, str(error))
            return None
        if not can_show_an_animal(picture):
            self.narrow.add(name, f"{name}, {picture.shape[1]}x{picture.shape[0]}")
        found = find(picture)
        self.with_animal += any(found)
        self.animals += sum(map(bool, found))
        return found


def _finder(source: PictureFiles | VideoFile, model: LoadedModel, options: Options) -> Callable[[Image], Found]:
    if isinstance(source, VideoFile):
        return by_place(model, options.animals, source.frames_per_s, options.px_per_mm)
    return by_likelihood(model, options.animals, options.px_per_mm)


def _warn(text: str) -> None:
    print(f"cageclock: {text}", file=sys.stderr, flush=True)
