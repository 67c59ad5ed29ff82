"""Two histories under one epoch, from a copied or restored card: this one's tail moves on under a new epoch.

The station holds other records under the same numbers. What is this card's own gets new numbers, so that no record of
either card takes the place of the other's, or is released by a watermark that speaks of the other's.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from edge.contract import identity
from edge.errors import DatabaseDamaged, StorageError
from edge.outbox.database import FAILURES, open_reader
from edge.outbox.sequence import COLUMNS, Row, Sequence, seal, sealed
from edge.outbox.thumbnails import Thumbnails

PREFIX = "parting "
"""Of the remembered texts' names in `delivery.db`; the epoch follows."""
_EXIF_BYTES = 2048
_BATCH = 100


class Parting(NamedTuple):
    """This card's own history begins at `first`; `seen`: where the station holds another record, or one more."""

    first: int
    seen: int


def encode_parting(parting: Parting) -> str:
    """Return the text that is remembered."""
    return f"{parting.first} {parting.seen}"


def read_partings(path: Path) -> dict[str, Parting]:
    """Return what publish found, per epoch, from `delivery.db`; nothing where it cannot be read."""
    if not path.exists():
        return {}
    connection: sqlite3.Connection | None = None
    try:
        connection = open_reader(path)
        rows = connection.execute(f"SELECT key, value, seal FROM meta WHERE key LIKE '{PREFIX}%'").fetchall()
        return {
            key.removeprefix(PREFIX): Parting(*(int(number) for number in value.split()))
            for key, value, was in rows
            if was == seal(key, value)
        }
    except (*FAILURES, StorageError, OSError):
        return {}
    finally:
        if connection is not None:
            connection.close()


def has_tail(sequence: Sequence, epoch: str, first: int) -> bool:
    """Return whether the file still goes on with an epoch, or holds records of it from `first` on."""
    query = "SELECT 1 FROM records WHERE epoch = ? AND seq >= ? LIMIT 1"
    return epoch == sequence.epoch or sequence.connection.execute(query, (epoch, first)).fetchone() is not None


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: how many records, the old epoch's last number before, pictures that no row names any more."""

    records: int
    last: int
    pictures: tuple[str, ...]


def move_tail(
    sequence: Sequence, epoch: str, first: int, reason: str, thumbnails: Thumbnails | None, folder: Path
) -> Moved:
    """Begin a new epoch with the records of an old one from `first` on, within the caller's transaction.

    thumbnails, folder: who writes pictures, and where they lie; None in a file whose records have none.
    The new epoch follows from the old one and the first record: two copies of the same tail, which each part from a
    third card, come to the same identities, and what they have in common is not stored twice.
    The records keep their order, times and contents; number `first` becomes 1. Only a picture's EXIF, and with it the
    sha256 in its reading, follows the identity. The old epoch ends before `first`.

    Raises:
        DatabaseDamaged: a row is not what was written.
        DiskFull, StorageError: a picture cannot be written under its new identity.
    """
    ask = sequence.connection.execute
    found = ask("SELECT last_seq FROM epochs WHERE epoch = ?", (epoch,)).fetchone()
    last = int(found[0]) if found is not None else 0
    sequence.begin_epoch(reason, _successor(sequence, epoch, first))
    count, pictures = 0, []
    for start in range(first, last + 1, _BATCH):
        query = f"SELECT {COLUMNS} FROM records WHERE epoch = ? AND seq BETWEEN ? AND ? ORDER BY seq"
        for values in ask(query, (epoch, start, min(last, start + _BATCH - 1))).fetchall():
            row = Row(*values)
            if not row.sound():
                raise DatabaseDamaged(f"record {start} or one behind it in epoch {epoch[:8]} is not what was written")
            moved = _renamed(row, sequence.epoch, row.seq - first + 1, thumbnails, folder)
            sequence.insert(moved)
            count += 1
            if row.thumbnail is not None and row.thumbnail != moved.thumbnail:
                pictures.append(row.thumbnail)
    if last >= first:
        ask("DELETE FROM records WHERE epoch = ? AND seq >= ?", (epoch, first))
        ask("UPDATE epochs SET last_seq = ?, seal = ? WHERE epoch = ?", (first - 1, seal(epoch, first - 1), epoch))
    return Moved(count, last, tuple(pictures))


def _successor(sequence: Sequence, epoch: str, first: int) -> str:
    """Return the name of the epoch in which a tail goes on, "" (a random one) where there is none or it is taken."""
    ask = sequence.connection.execute
    found = ask("SELECT digest FROM records WHERE epoch = ? AND seq = ?", (epoch, first)).fetchone()
    if found is None:
        return ""
    name = hashlib.sha256(f"{epoch} {first} {found[0]}".encode()).hexdigest()[:32]
    return "" if ask("SELECT 1 FROM epochs WHERE epoch = ?", (name,)).fetchone() else name


def drop_unnamed(sequence: Sequence, pictures: tuple[str, ...], remove: Callable[[str], None]) -> None:
    """Remove the files of pictures that no row names any more, after the transaction."""
    for sha in pictures:
        if sequence.connection.execute("SELECT 1 FROM records WHERE thumbnail = ? LIMIT 1", (sha,)).fetchone() is None:
            remove(sha)


def _renamed(row: Row, epoch: str, seq: int, thumbnails: Thumbnails | None, folder: Path) -> Row:
    body, sha = row.body, row.thumbnail
    if sha is not None and thumbnails is not None:
        file = folder / f"{sha}.jpg"
        if file.exists():
            jpeg = file.read_bytes()
            named = rename_picture(jpeg, (row.epoch, row.seq), (epoch, seq))
            sha = hashlib.sha256(named).hexdigest()
            if named != jpeg:
                thumbnails.write(sha, named)
                body = body.replace(str(row.thumbnail).encode(), sha.encode())
    named_row = replace(row, epoch=epoch, seq=seq, body=body, digest=identity.digest(body), thumbnail=sha)
    return sealed(named_row)


def rename_picture(jpeg: bytes, before: tuple[str, int], after: tuple[str, int]) -> bytes:
    """Return the JPEG with another identity of the same length in its EXIF; as it is where it names none.

    The new number has no more digits than the old one, because it counts from `first`; JSON allows spaces before it.
    """
    old = f'"epoch":"{before[0]}","seq":{before[1]}'.encode()
    number = str(after[1]).rjust(len(str(before[1])))
    head = jpeg[:_EXIF_BYTES].replace(old + b",", f'"epoch":"{after[0]}","seq":{number},'.encode())
    return head + jpeg[_EXIF_BYTES:]
