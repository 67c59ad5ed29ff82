"""Bit flips in the station's database and pictures: found by `verify`, or harmless; never a wrong row without a word.

A station with records, pictures, corrections and days of two devices, stopped cleanly or not; some bits of one file
flip. The station is opened and its whole database verified, as it does by itself in quiet moments. Then nothing that it
shows differs from what was sent, and what it no longer holds it does not promise either: its device sends it again.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.contract.ranges import RangeSet
from edge.errors import CageclockError
from station.days.keep import rebuild
from station.store.record_rows import COLUMNS, RecordRow, read_body
from station.store.store import Store
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.station import samples

LABS, NOW_S = 4, 1.9e9
SHOWN = ("readings", "animals", "events", "clock_corrections", "days")
MOST_PARTS = 2_000
Rows = dict[str, set[tuple[Any, ...]]]


@dataclass(frozen=True)
class Original:
    """A station's folder, the bodies by (device, epoch, seq), the rows of its other tables, its pictures by path."""

    folder: Path
    bodies: dict[tuple[str, str, int], bytes]
    rows: Rows
    pictures: dict[str, str]


def run(line: Line, budget: int) -> None:
    with quick_folder() as folder:
        labs = [_fill(folder / f"lab{number}", random.Random(number)) for number in range(LABS)]
        for number in range(budget):
            seed = line.seed + number
            fault = _flip_and_judge(folder / "flipped", labs[seed % LABS], random.Random(seed), line)
            line.done += 1
            if fault:
                raise Fault(seed, fault)


def _fill(folder: Path, chance: random.Random) -> Original:
    """Fill a station as devices do, and leave it as a clean stop would, or a power cut."""
    live = folder.with_name(folder.name + "-live")
    store = Store.open(live)
    messages = []
    for device in ("cage-1", "cage-2"):
        for seq in range(1, 31):
            kind = chance.random()
            if kind < 0.1:
                content: Any = samples.event(seq, device=device)
            else:
                jpeg = samples.picture(seq, device=device, shade=chance.randrange(256)) if kind < 0.5 else None
                content = samples.reading(seq, device=device, thumbnail=jpeg, synced=kind < 0.9)
                if jpeg is not None:
                    messages.append(samples.picture_arrival(jpeg, device=device))
            messages.append(samples.arrival(content, seq, device=device))
    store.take(messages[: len(messages) // 2])
    store.take(messages[len(messages) // 2 :])
    while store.settle_days():
        pass
    connection = store._connection
    bodies = dict(_bodies(connection))
    rows = _rows(connection)
    pictures = dict(connection.execute("SELECT path, sha256 FROM thumbnails").fetchall())
    if chance.random() < 0.5:
        store.close()
        shutil.copytree(live, folder)
    else:
        shutil.copytree(live, folder)
        store.close()
    return Original(folder, bodies, rows, pictures)


def _flip_and_judge(here: Path, original: Original, chance: random.Random, line: Line) -> str:
    """Return what went wrong, "" where all is well."""
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(original.folder, here)
    files = [path for path in sorted(here.rglob("*")) if path.suffix in (".db", ".db-wal", ".jpg")]
    files = [path for path in files if path.stat().st_size]
    weights = [0.3 if path.suffix == ".jpg" else 10 for path in files]
    victim = chance.choices(files, weights)[0]
    _flip(victim, chance)
    line.count(f"in {victim.name}" if victim.suffix != ".jpg" else "in a picture")
    try:
        store = Store.open(here)
    except CageclockError:
        line.count("refused at the start")
        return ""
    try:
        found: list[str] = []
        for number in range(MOST_PARTS):
            findings, complete = store.verify_part(NOW_S, fresh=number == 0)
            found += findings
            if complete:
                break
        while store.settle_days():
            pass
        line.count("named by the pass", bool(found))
        wrong = _judge(here, store, original, found)
    except CageclockError:
        line.count("refused by the pass")
        return ""
    finally:
        store.close()
    line.count("harmless", not found)
    return f"{victim.name}: {wrong}; named: {found[:3]}" if wrong else ""


def _flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 8))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(data))


def _judge(here: Path, store: Store, original: Original, found: list[str]) -> str:
    """Return what is still shown, or promised, and is not what was sent.

    A row whose damaged key stands out of its order is named at every pass, and SQLite does not find it to strike it.
    """
    connection = store._connection
    held = set()
    for key, body in _bodies(connection):
        if original.bodies.get(key, body) != body or key not in original.bodies:
            return f"record {key} has another content than was sent"
        held.add(key)
    gone = original.bodies.keys() - held
    rows = _rows(connection)
    for table in SHOWN[:-1]:
        extra = {row for row in rows[table] - original.rows[table] if not _is_named(row, found)}
        if extra:
            return f"{table} shows what nobody sent: {sorted(extra, key=repr)[0]}"
        missing = {row[:3] for row in original.rows[table] - rows[table]} - gone
        if missing:
            return f"{table} lacks what its record says: {sorted(missing)[0]}"
    pictured = set()
    for device, epoch, seq, path, sha in connection.execute(
        "SELECT device, epoch, seq, path, sha256 FROM thumbnails"
    ).fetchall():
        file = here / path
        if original.pictures.get(path) != sha or hashlib.sha256(file.read_bytes()).hexdigest() != sha:
            return f"picture {path} is not what was sent"
        pictured.add((device, epoch, seq))
    for device in store.devices():
        for of in store.committed(device).epochs:
            for first, last in RangeSet.from_watermark(of.through, of.holes):
                lost = [(device, of.epoch, seq) for seq in range(first, min(last, 1000) + 1)]
                if lost != [key for key in lost if key in held]:
                    return f"{device} is promised {first}..{last}, which is not all stored"
    days = rows["days"]
    rebuild(connection)
    return "" if _rows(connection)["days"] == days else "the days are not what the log says"


def _is_named(row: tuple[Any, ...], found: list[str]) -> bool:
    return any(text.startswith(f"{row[0]}: without a record {row[1][:8]}:{row[2]}:") for text in found)


def _bodies(connection: sqlite3.Connection) -> list[tuple[tuple[str, str, int], bytes]]:
    found = [RecordRow(*row) for row in connection.execute(f"SELECT {COLUMNS} FROM records").fetchall()]
    return [((row.device, row.epoch, row.seq), read_body(row)) for row in found]


def _rows(connection: sqlite3.Connection) -> Rows:
    return {table: {tuple(row) for row in connection.execute(f"SELECT * FROM {table}").fetchall()} for table in SHOWN}


if __name__ == "__main__":
    main(run, "bit flips of the station", "flipped files", ci=150, full=20_000, chunk=500)
