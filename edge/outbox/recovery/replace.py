"""A damaged file gives way to a successor: set aside under its lock, never deleted, a power cut at any moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from edge.contract.ranges import RangeSet
from edge.contract.record import Lost, LostRanges
from edge.errors import DiskFull
from edge.outbox.recovery.integrity import Saved, salvage
from edge.outbox.sequence import Sequence
from edge.outbox.thumbnails import sync_folder
from edge.outbox.watermarks import Released

MakeSuccessor = Callable[[str, Saved], None]
LabelLosses = Callable[[str, Mapping[str, RangeSet], str], list[Lost | LostRanges]]


def replace_damaged(
    path: Path, released: Mapping[str, Released], make_successor: MakeSuccessor, note_full: Callable[[], None]
) -> None:
    """Set the file aside and put in its place what `make_successor` makes of its new name and of what could be saved.

    The new file is ready before the old one is moved: a power cut in between leaves one of the two to go on with.

    Raises:
        DiskFull: there is no room even for a successor that holds no saved record.
    """
    aside, saved = aside_name(path), salvage(path, released)
    try:
        make_successor(aside.name, saved)
    except DiskFull:
        note_full()  # if even the reserve is too little, the saved records stay in the file set aside
        try:
            make_successor(aside.name, saved)
        except DiskFull:
            make_successor(aside.name, Saved((), saved.epochs, saved.starts))
    set_aside(path, aside)
    finish_replacement(path)


def take_over(sequence: Sequence, saved: Saved) -> None:
    """Put what was saved into the successor, within the caller's transaction, before its own epoch begins."""
    sequence.set_meta("starts", str(saved.starts))
    for epoch, last in saved.epochs:
        sequence.adopt(epoch, last, "saved")
    for row in saved.rows:
        sequence.put(row)
    sequence.reload()


def losses(saved: Saved, released: Mapping[str, Released], label: LabelLosses) -> list[Lost | LostRanges]:
    """Return the losses that name every number which was neither saved nor released."""
    found: dict[str, RangeSet] = {}
    for epoch, last in saved.epochs:
        known = RangeSet((row.seq, row.seq) for row in saved.rows if row.epoch == epoch)
        if epoch in released:
            for first, end in released[epoch].records:
                known.add(first, end)
        if last > known.highest:
            known.add(last + 1)
        holes = known.watermark(cap=10_000)[1]
        if holes:
            found[epoch] = RangeSet(holes)
    return label("record", found, "the database was damaged")


def aside_name(path: Path) -> Path:
    """Return a name beside the file that is free."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = path.with_name(f"{path.name}.damaged-{stamp}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    return aside


def set_aside(path: Path, aside: Path) -> None:
    """Rename the database with its journal, never delete it; the file itself last, so that it can be done again."""
    for suffix in ("-wal", "-shm", ""):
        old = path.with_name(path.name + suffix)
        if old.exists():
            os.replace(old, aside.with_name(aside.name + suffix))
    sync_folder(path.parent)


def successor_name(path: Path) -> Path:
    """Return the name under which what takes a damaged file's place is made ready."""
    return path.with_name(path.name + ".new")


def remove_successor(path: Path) -> None:
    """Delete an unfinished successor; the damaged file is still there and will be read again."""
    for suffix in ("-wal", "-shm", ""):
        new = successor_name(path)
        new.with_name(new.name + suffix).unlink(missing_ok=True)


def finish_replacement(path: Path) -> None:
    """Put a finished successor in the place of a file that was set aside; a power cut may have come between the two."""
    new = successor_name(path)
    if path.exists() or not new.exists():
        return
    os.replace(new, path)
    sync_folder(path.parent)
