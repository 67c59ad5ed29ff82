"""The pictures of a dataset: can they be read, and do two animals share one?"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edge.contract.tables.join import first_few, join
from edge.errors import CageclockError
from edge.footage.picture import read_picture
from edge.host.progress import progress
from edge.vision.frame import Image
from training.dataset.finding import Finding
from training.dataset.flat import flat_level, flat_text, guessed_depths
from training.dataset.table import PLACE

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
HASH = 16
_BITS_APART = 8  # of 256
_GREY_APART = 3.0  # mean difference of 64 x 64 thumbnails: cage pictures share their background, not their animal
_BACKGROUND = (12, 8)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What `check` keeps of one picture: dhash bool (256,), thumbnail uint8 (64, 64), background float32 (96,).

    size: width and height, pixels.
    """

    dhash: NDArray[np.bool_]
    thumbnail: NDArray[np.uint8]
    background: NDArray[np.float32]
    size: tuple[int, int]


def look_at(folder: Path, table: pd.DataFrame) -> tuple[dict[int, Look], list[Finding]]:
    """Return the look of each picture that shows something by its line, and what is wrong with the others."""
    looks: dict[int, Look] = {}
    findings: list[Finding] = []
    depths = Counter[str]()
    named = table[table.picture != ""]
    for line, row in progress(list(named.iterrows()), len(named), "pictures"):
        path = folder / str(row.picture)
        if not path.is_file():
            findings.append(Finding(int(line), "picture", f"there is no file {row.picture}{_alike_name(path)}"))
            continue
        try:
            picture = read_picture(path)
        except CageclockError as error:
            findings.append(Finding(int(line), "picture", f"cannot be read: {error}"))
            continue
        depths += Counter([picture.depth] if picture.depth else [])
        level = flat_level(picture.pixels)
        if level is None:
            looks[int(line)] = _look(picture.pixels, row)
        else:
            findings.append(Finding(int(line), "picture", f"{row.picture} {flat_text(level)}"))
    return looks, findings + guessed_depths(depths)


def unnamed_pictures(folder: Path, table: pd.DataFrame) -> list[Finding]:
    """Return a warning where pictures beside the named ones stand in no line of the table, with the first of them."""
    outside = sorted({str(name) for name in table.picture if str(name).startswith(("../", "/")) or name == ".."})
    folders = {(folder / str(name)).parent for name in table.picture if name and name not in outside}
    there = {
        path.relative_to(folder).as_posix()
        for one in sorted(folders)
        if one.is_dir() and one.is_relative_to(folder)
        for path in one.iterdir()
        if path.suffix.lower() in PICTURES and not path.name.startswith(".")
    }
    found = join(table.picture, there)
    findings = []
    if outside:
        where = f"outside of the dataset's folder (first: {outside[0]})"
        text = f"{len(outside)} pictures lie {where}: a copy of it lacks them"
        findings.append(Finding(0, "picture", text, "warning"))
    if not found.second_only:
        return findings
    text = (
        f"{len(found.second_only)} pictures of the folder are in no line of the table (first: "
        f"{first_few(found.second_only)}); {len(found.matched)} are"
    )
    return [*findings, Finding(0, "picture", text, "warning")]


def _alike_name(path: Path) -> str:
    """Return a hint where there is a file whose name differs in case, blanks or the form of its letters only."""
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent.name}"
    wanted = unicodedata.normalize("NFKC", path.name).casefold()
    near = (one.name for one in path.parent.iterdir() if unicodedata.normalize("NFKC", one.name).casefold() == wanted)
    name = next(near, None)
    return f"; there is {name}" if name else ""


def duplicates(table: pd.DataFrame, looks: dict[int, Look]) -> list[Finding]:
    """Return pictures that are the same for two animals, by difference hash (256 bits) and thumbnail.

    One file for several animals is right where each line says by box or body parts which one it means.
    """
    findings = []
    placed = has_place(table)
    for picture, rows in table[table.picture != ""].groupby("picture"):
        if rows.subject.nunique() > 1 and not placed[rows.index].all():
            text = f"{picture} is given for {rows.subject.nunique()} animals; say which by box or snout and tail base"
            findings.append(Finding(int(rows.index[1]), "picture", text))
    lines = list(looks)
    for first, second in _alike([looks[line] for line in lines]):
        one, other = table.loc[lines[first]], table.loc[lines[second]]
        if one.subject != other.subject and one.picture != other.picture:
            text = f"{other.picture} shows the same as {one.picture} of '{one.subject}' (line {lines[first]})"
            findings.append(Finding(lines[second], "picture", text))
    return findings


def has_place(table: pd.DataFrame) -> pd.Series:
    """Return bool by line: does it say where in the picture the animal is, by box or by snout and tail base?"""
    given = table.reindex(columns=list(PLACE)).notna()
    box = given[["x0", "y0", "x1", "y1"]].all(axis=1)
    return box | given[["snout_x", "snout_y", "tail_base_x", "tail_base_y"]].all(axis=1)


def _look(picture: Image, row: pd.Series) -> Look:
    from PIL import Image as Pillow

    grey = Pillow.fromarray(picture).convert("L")
    small = np.asarray(grey.resize((HASH + 1, HASH), Pillow.Resampling.BOX)).astype(np.int16)
    thumbnail = np.asarray(grey.resize((64, 64), Pillow.Resampling.BOX))
    background = np.asarray(grey.resize(_BACKGROUND, Pillow.Resampling.BOX)).astype(np.float32)
    edge = background.copy()
    edge[1:-1, 2:-2] = np.nan  # the border of the picture: where the animal is not, mostly
    size = (picture.shape[1], picture.shape[0])
    return Look((small[:, 1:] > small[:, :-1]).ravel(), thumbnail, edge[~np.isnan(edge)], size)


def _alike(looks: list[Look]) -> Iterator[tuple[int, int]]:
    """Yield index pairs (first < second) of pictures that look the same; each second one once."""
    if not looks:
        return
    bits = np.array([look.dhash for look in looks]).astype(np.float32) * 2 - 1
    for second in range(1, len(looks)):
        apart = (bits.shape[1] - bits[:second] @ bits[second]) / 2
        for first in np.flatnonzero(apart <= _BITS_APART):
            difference = looks[first].thumbnail.astype(int) - looks[second].thumbnail
            if np.abs(difference).mean() <= _GREY_APART:
                yield int(first), second
                break
