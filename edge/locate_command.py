"""`cageclock locate`: body parts of pictures and videos into DeepLabCut CSVs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol

from edge.errors import OperatorError
from edge.keypoint_csv import KeypointCsv
from edge.locate_sources import PictureFiles, VideoFile, plan
from edge.locating import by_likelihood, by_place
from edge.model.bundle import read_bundle
from edge.model.keys import read_trusted_keys
from edge.model.loaded import LoadedModel, load_model
from edge.progress import progress
from edge.tracks import MOST_TRACKS

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
    """Write the CSVs and return the exit code: 0, or 130 after Ctrl-C, which leaves only CSVs that are whole.

    Raises:
        BundleError: the bundle must not be used.
        OperatorError: a source, a key or a CSV cannot be read or written, or an option is out of its range.
    """
    _check(options)
    try:
        _locate_all(options)
    except KeyboardInterrupt:
        print("cageclock: interrupted; the CSV in hand was not written, those told above are whole", file=sys.stderr)
        return INTERRUPTED
    return 0


def _check(options: Options) -> None:
    if options.px_per_mm is not None and not 0 < options.px_per_mm < 1000:
        raise OperatorError(f"--px-per-mm: expected a number above 0 and below 1000, got {options.px_per_mm:g}")
    if not 1 <= options.animals <= MOST_TRACKS:
        raise OperatorError(f"--animals: expected 1 to {MOST_TRACKS}, got {options.animals}")
    if options.every < 1:
        raise OperatorError(f"--every: expected at least 1, got {options.every}")


def _locate_all(options: Options) -> None:
    keys = read_trusted_keys(options.key)
    planned = plan(options.sources, options.dlc_csv, options.every)
    model = load_model(read_bundle(options.bundle, keys))
    for source, out in planned:
        _locate(source, out, model, options)


def _locate(source: PictureFiles | VideoFile, out: Path, model: LoadedModel, options: Options) -> None:
    """Write one CSV, row by row, and say how many pictures have an animal."""
    if isinstance(source, VideoFile):
        find, what = by_place(model, options.animals, source.frames_per_s, options.px_per_mm), "frames"
    else:
        find, what = by_likelihood(model, options.animals, options.px_per_mm), "pictures"
    scorer = f"cageclock_{model.manifest.name}_{model.sha256[:12]}"
    looked_at = with_animal = animals = 0
    with KeypointCsv(out, model.manifest.parts.keypoints, scorer, options.animals) as table:
        for name, picture in progress(source.rows(), source.count, source.name):
            found = find(picture)
            table.add(name, found)
            looked_at, with_animal = looked_at + 1, with_animal + any(found)
            animals += sum(map(bool, found))
    if isinstance(source, VideoFile) and source.count is not None and looked_at < 0.98 * source.count - 1:
        said, ended = source.count, f"after {looked_at}; is {source.path} whole?"
        print(f"cageclock: expected {said} frames to look at by what the video says, it ended {ended}", file=sys.stderr)
    several = f", {animals} animals in all" if options.animals > 1 else ""
    print(f"{out}: an animal in {with_animal} of {looked_at} {what}{several}", flush=True)
