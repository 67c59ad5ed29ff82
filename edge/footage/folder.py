"""The pictures of a folder in the order that people count in, and what else lies there."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

IMAGES = (
    *(
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".mpo",
        ".tif",
        ".tiff",
        ".bmp",
        ".webp",
        ".gif",
        ".pgm",
        ".ppm",
        ".pnm",
    ),
    *(".jp2", ".avif", ".heic", ".heif"),
)
"""Endings of pictures; where one of these cannot be read here (HEIC), it is reported by name and not passed over."""
VIDEOS = (
    *(".mp4", ".avi", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv", ".asf", ".flv", ".ogv", ".3gp"),
    *(".ts", ".mts", ".m2ts", ".mj2", ".mjpeg", ".h264", ".h265", ".264", ".265", ".hevc", ".vob", ".mxf"),
)


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """Its pictures in natural order, and how many of what kind was passed over."""

    files: tuple[Path, ...]
    passed_over: Counter[str]


def list_pictures(folder: Path) -> PictureFolder:
    """Return the pictures of a folder, not of folders within it.

    Names that begin with a dot are passed over: they are hidden, or what macOS keeps beside a file (`._a.png`).

    Raises:
        OSError: the folder cannot be read.
    """
    files, passed_over = [], Counter[str]()
    for path in sorted(folder.iterdir(), key=natural_order):
        kind = _kind(path)
        if kind is None:
            files.append(path)
        else:
            passed_over[kind] += 1
    return PictureFolder(tuple(files), passed_over)


def why_absent(path: Path) -> str:
    """Return why nothing can be read at a path, as text that follows its name; empty where there is something."""
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "is a link that leads back to itself" if os.path.islink(path) else "lies behind a link to itself"
        if isinstance(error, FileNotFoundError):
            link = os.path.islink(path)
            return f"is a link to {os.readlink(path)}, which does not exist" if link else "does not exist"
        return f"cannot be looked at: {error.strerror}"
    return ""


def natural_order(path: Path) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Return what sorts names as people count: img1, img2, img10; capitals decide only between equal names.

    The name alone counts, not the folder.
    """
    pieces = re.findall(r"[0-9]+|[^0-9]+", path.name.casefold())
    return tuple((0, int(one), "") if one[0] in "0123456789" else (1, 0, one) for one in pieces), path.name


def count_kinds(passed_over: Counter[str]) -> str:
    """Return the counts as text, the most frequent kind first: `.txt files (3), folders (1)`."""
    return ", ".join(f"{kind} ({count})" for kind, count in passed_over.most_common())


def _kind(path: Path) -> str | None:
    """Return the kind of what is passed over, None for a picture."""
    if path.name.startswith("."):
        return "names that begin with a dot"
    if os.path.isdir(path):
        return "folders"
    ending = path.suffix.lower()
    if ending in IMAGES:
        return None
    return f"{ending} files" if ending else "files without an ending"
