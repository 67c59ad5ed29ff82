"""Reading a DeepLabCut project: labelled frames of any body parts, single or several animals.

`labeled-data/<video>/CollectedData_<scorer>.csv` has three header rows (scorer, bodyparts, coords; with several
animals a row `individuals` more), then a relative image path, in one column or split over three, and x, y per part;
empty: not labelled. A row without any label is a picture that nobody has labelled yet, and is left out. `config.yaml`,
where there is one, says which body parts count, whose labels, and which parts are joined.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import OperatorError
from training.deeplabcut.config import Config, read_config
from training.deeplabcut.table import LabelledFrame, LabelTable, read_label_table

__all__ = ["LabelledFrame", "Project", "learnable", "read_project"]
SPANS_DIFFER = 2.0
"""Animals of one video this many times as large, in pixels, as another's do not both fit one scale."""


@dataclass(frozen=True, slots=True)
class Project:
    """All labelled frames of a project, the names of its body parts, and what about the labels is doubtful.

    skeleton: pairs of those body parts that config.yaml joins; empty where it joins none.
    """

    keypoints: tuple[str, ...]
    frames: tuple[LabelledFrame, ...]
    warnings: tuple[str, ...] = ()
    skeleton: tuple[tuple[str, str], ...] = ()


def read_project(folder: Path) -> Project:
    """Return the labelled frames of a DeepLabCut project folder.

    Raises:
        OperatorError: no labels, files that disagree on the body parts, a malformed row, settings that cannot be read,
            no picture of all that are labelled, or one labelled twice; with file, row (line of the file) and column.
    """
    config = read_config(folder)
    paths, warnings = _tables(folder, config)
    tables = [read_label_table(path, folder, config) for path in paths]
    warnings += [text for table in tables for text in table.findings.warnings()]
    keypoints = _keypoints(tables, config)
    frames = [_reordered(frame, table.keypoints, keypoints) for table in tables for frame in table.frames]
    _check_once(frames)
    if not frames:
        why = f"; {warnings[0]}" if warnings else ""
        raise OperatorError(f"{tables[0].path}: expected labelled frames below the headers, got none{why}")
    never = [part for n, part in enumerate(keypoints) if not any(_has(frame, n) for frame in frames)]
    if never:
        what = "body part is never labelled" if len(never) == 1 else "body parts are never labelled"
        warnings.append(f"{folder}: {len(never)} {what}, so that no locator can learn it: {', '.join(never)}")
    skeleton, known = config.skeleton if config is not None else (), set(keypoints)
    joined = tuple(pair for pair in skeleton if set(pair) <= known)
    strange = sorted({part for pair in skeleton for part in pair} - known)
    if strange:
        warnings.append(
            f"{folder / 'config.yaml'}: key skeleton: expected body parts of the project, got {', '.join(strange)} "
            "too; what joins them is left out"
        )
    warnings += _spans(folder, tables)
    return Project(keypoints, tuple(frames), tuple(warnings), joined)


def learnable(project: Project) -> Project:
    """Return the project without the body parts that are never labelled: a network would find them anywhere."""
    kept = tuple(part for n, part in enumerate(project.keypoints) if any(_has(frame, n) for frame in project.frames))
    frames = tuple(_reordered(frame, project.keypoints, kept) for frame in project.frames)
    joined = tuple(pair for pair in project.skeleton if set(pair) <= set(kept))
    return Project(kept, frames, project.warnings, joined)


def _tables(folder: Path, config: Config | None) -> tuple[list[Path], list[str]]:
    """Return the table of each video's folder, and warnings on labels that are not read."""
    found = sorted(folder.glob("labeled-data/*/CollectedData_*.csv"))
    stored = sorted(folder.glob("labeled-data/*/CollectedData_*.h5"))
    lost = [path for path in stored if path.parent not in {table.parent for table in found}]
    how = (
        "expected its labels as CSV too, which DeepLabCut writes beside it; there `deeplabcut.convertcsv2h5` goes the "
        "other way, `pandas.read_hdf(FILE).to_csv(FILE.csv)` this one"
    )
    if not found and stored:
        raise OperatorError(f"{stored[0]}: {how}")
    if not found:
        raise OperatorError(f"{folder}: expected labeled-data/<video>/CollectedData_<scorer>.csv, found none")
    warnings = [f"{path}: {how}; its labels are passed over" for path in lost]
    if config is None or not config.scorer:
        return found, warnings
    chosen: list[Path] = []
    for video in dict.fromkeys(path.parent for path in found):
        own = video / f"CollectedData_{config.scorer}.csv"
        there = [path for path in found if path.parent == video]
        if own in there:
            chosen.append(own)
            warnings += [
                f"{path}: not of {config.scorer}, the scorer in config.yaml: passed over"
                for path in there
                if path != own
            ]
        elif len(there) == 1:
            chosen += there
            warnings.append(
                f"{there[0]}: not of {config.scorer}, the scorer in config.yaml, but read: it is the only one"
            )
        else:
            raise OperatorError(
                f"{video}: expected the labels of {config.scorer}, the scorer in config.yaml, got "
                f"{', '.join(path.name for path in there)}; keep one of them"
            )
    return chosen, warnings


def _keypoints(tables: list[LabelTable], config: Config | None) -> tuple[str, ...]:
    """Return the project's body parts: those of config.yaml, else those that all tables agree on."""
    if config is not None and config.parts:
        return config.parts
    keypoints = tables[0].keypoints
    for table in tables:
        if set(table.keypoints) != set(keypoints):
            raise OperatorError(
                f"{table.path}: expected the body parts of {tables[0].path} ({', '.join(keypoints)}), "
                f"got {', '.join(table.keypoints)}"
            )
    return keypoints


def _check_once(frames: list[LabelledFrame]) -> None:
    seen: dict[Path, LabelledFrame] = {}
    for frame in frames:
        first = seen.setdefault(frame.image, frame)
        if first is not frame:
            raise OperatorError(
                f"{frame.table}: row {frame.line}: expected each picture once, {frame.image.name} stands in row "
                f"{first.line} of {first.table} already; keep one of them"
            )


def _reordered(frame: LabelledFrame, came: tuple[str, ...], wanted: tuple[str, ...]) -> LabelledFrame:
    """Return the frame with its parts in the project's order: another video's table may have another, or fewer."""
    if came == wanted:
        return frame
    order = [came.index(name) if name in came else None for name in wanted]
    nowhere = np.full(2, np.nan)
    animals = tuple(
        np.stack([nowhere if index is None else animal[index] for index in order]) for animal in frame.animals
    )
    columns = tuple(tuple(0 if index is None else of[index] for index in order) for of in frame.columns)
    return LabelledFrame(frame.image, animals, frame.table, frame.line, columns)


def _has(frame: LabelledFrame, part: int) -> bool:
    return any(not np.isnan(animal[part, 0]) for animal in frame.animals)


def _spans(folder: Path, tables: list[LabelTable]) -> list[str]:
    """Return a warning where the animals of one video are far larger, in pixels, than those of another."""
    spans = {}
    for table in tables:
        each = [
            float(np.ptp(animal[~np.isnan(animal[:, 0])], axis=0).max()) for f in table.frames for animal in f.animals
        ]
        if each and np.median(each) > 0:
            spans[table.path.parent.name] = float(np.median(each))
    if not spans or max(spans.values()) < SPANS_DIFFER * min(spans.values()):
        return []
    large, small = max(spans, key=lambda name: spans[name]), min(spans, key=lambda name: spans[name])
    return [
        f"{folder}: the animals of {large} span {spans[large]:.0f} pixels, those of {small} {spans[small]:.0f}: a "
        "locator sees all at one scale; bring the pictures to one scale, or train one for each"
    ]
