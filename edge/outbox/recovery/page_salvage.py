"""Records read straight from a database's pages, where SQLite refuses: one flipped bit of the schema hides all.

Every leaf page of a table, in the file and in its journal, is looked through for rows of the records' shape. A row's
checksum says whether it is one, so nothing else of the page has to be believed. Format:
https://www.sqlite.org/fileformat2.html#record_format
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.outbox.row import Row, checksum

_LEAF = 0x0D
_RECORD, _EPOCH = 11, 6
"""How many columns: the row's id, and those of `Row`; number, epoch, last, two texts, checksum. The first one of each
is kept as NULL, because it is the cell's own number."""
_INTEGERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Serial type -> bytes; 0 is NULL, 8 and 9 are the numbers 0 and 1."""
_JOURNAL_HEAD, _FRAME_HEAD = 32, 24
_SIZES = {512 << power for power in range(8)}


class Pages:
    """A database's pages by number, the newest image of the journal before the file's own."""

    def __init__(self, database: Path) -> None:
        """Read the journal, which is small; the database itself is read page by page.

        Raises:
            OSError: the file cannot be read.
        """
        self._file = database.open("rb")
        self.size = _page_size(self._file.read(100))
        self._count = database.stat().st_size // self.size
        journal = database.with_name(database.name + "-wal")
        self._frames = _frames(journal.read_bytes(), self.size) if journal.exists() else []
        self._newest = dict(self._frames)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and image of every page, the file's first, then the journal's in their order."""
        for number in range(1, self._count + 1):
            yield number, self._own(number)
        yield from self._frames

    def get(self, number: int) -> bytes:
        """Return a page's newest image, empty where there is none."""
        return self._newest.get(number) or (self._own(number) if 1 <= number <= self._count else b"")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _own(self, number: int) -> bytes:
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)


@dataclass(frozen=True, slots=True)
class PageContents:
    """What the pages hold: sound records, the newest image of each, and each epoch's highest sound last number.

    number: of each epoch in the order in which they began. Old images also show epochs that were deleted since.
    """

    rows: dict[tuple[str, int], Row] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    number: dict[str, int] = field(default_factory=dict)


def read_pages(database: Path) -> PageContents:
    """Return what a file and its journal hold, whatever SQLite says of them."""
    found = PageContents()
    try:
        pages = Pages(database)
    except OSError:
        return found
    try:
        for number, page in pages:
            for values in _records(page, 100 if number == 1 else 0, pages):
                _keep(values, found)
    finally:
        pages.close()
    return found


def _keep(values: list[object], found: PageContents) -> None:
    if len(values) == _RECORD:
        row = Row(*values[1:])  # type: ignore[arg-type]  # `sound` looks at the types
        if row.sound():
            found.rows[row.epoch, row.seq] = row
    elif len(values) == _EPOCH:
        epoch, last = values[1:3]
        if isinstance(epoch, str) and isinstance(last, int) and values[5] == checksum(epoch, last):
            found.last[epoch] = max(last, found.last.get(epoch, 0))
            if isinstance(values[0], int):
                found.number[epoch] = values[0]


def _page_size(head: bytes) -> int:
    size = int.from_bytes(head[16:18], "big")
    return 65536 if size == 1 else size if size in _SIZES else 4096


def _frames(journal: bytes, size: int) -> list[tuple[int, bytes]]:
    starts = range(_JOURNAL_HEAD, len(journal) - _FRAME_HEAD - size + 1, _FRAME_HEAD + size)
    return [
        (int.from_bytes(journal[at : at + 4], "big"), journal[at + _FRAME_HEAD : at + _FRAME_HEAD + size])
        for at in starts
    ]


def _records(page: bytes, start: int, pages: Pages) -> Iterator[list[object]]:
    """Yield the values of each cell of a table's leaf page."""
    if len(page) < start + 8 or page[start] != _LEAF:
        return
    cells = min(int.from_bytes(page[start + 3 : start + 5], "big"), len(page) // 4)
    for place in range(start + 8, start + 8 + 2 * cells, 2):
        at = int.from_bytes(page[place : place + 2], "big")
        try:
            number, payload = _payload(page, at, pages)
            values = _values(payload)
            yield [number, *values[1:]]
        except (IndexError, ValueError):
            continue


def _payload(page: bytes, at: int, pages: Pages) -> tuple[int, bytes]:
    """Return a cell's number and its record, with what of it lies on overflow pages."""
    length, at = _varint(page, at)
    number, at = _varint(page, at)
    if length <= len(page) - 35:
        return number, page[at : at + length]
    least = (len(page) - 12) * 32 // 255 - 23
    here = least + (length - least) % (len(page) - 4)
    here = here if here <= len(page) - 35 else least
    parts, left = [page[at : at + here]], length - here
    follows = int.from_bytes(page[at + here : at + here + 4], "big")
    while left > 0 and follows and len(parts) < 1000:
        image = pages.get(follows)
        follows = int.from_bytes(image[:4], "big")
        parts.append(image[4 : 4 + left])
        left -= len(parts[-1])
        if len(image) < 5:
            break
    return number, b"".join(parts)


def _values(payload: bytes) -> list[object]:
    """Return a record's columns, none where it has another shape than those that are looked for."""
    head, at = _varint(payload, 0)
    types: list[int] = []
    while at < head and len(types) <= _RECORD:
        kind, at = _varint(payload, at)
        types.append(kind)
    values: list[object] = []
    at = head
    for kind in types if len(types) in (_RECORD, _EPOCH) else ():
        size = _INTEGERS[kind] if kind in _INTEGERS else (kind - 12) // 2 if kind >= 12 else -1
        if size < 0 or at + size > len(payload):
            return []
        content, at = payload[at : at + size], at + size
        if kind == 0:
            values.append(None)
        elif kind < 12:
            values.append(kind - 8 if kind in (8, 9) else int.from_bytes(content, "big", signed=True))
        else:
            values.append(content.decode() if kind % 2 else content)
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(9):
        byte = data[at + place]
        if place == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError
