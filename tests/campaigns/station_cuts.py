"""Power cuts under the station: what was promised to a device is there, whole; every row's picture is; nothing twice.

One life of a station is watched step by step, its database through SQLite's file system and its pictures through the
functions of `os`. Then the power goes at some hundred moments of it, each time with other unsynced writes kept, dropped
or torn. The station is opened on what is left, judged, and goes on; the power goes again.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.contract import identity
from edge.contract.ranges import RangeSet
from station.store.message import Arrival
from station.store.record_rows import COLUMNS, RecordRow, read_body
from station.store.store import Store
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.campaigns.disk import Disk, lay_out
from tests.campaigns.tree import Change, Tree, lay_out_tree, watched_tree
from tests.campaigns.vfs import Step, watched_files
from tests.station import samples

CUTS_A_LIFE, GENERATIONS = 100, 4
DEVICES = ("cage-1", "cage-2")
NOW_S = 1.8e9
Ranges = dict[tuple[str, str], tuple[RangeSet, RangeSet]]
"""By device and epoch: the numbers of the records, and of the thumbnails, that were promised."""
Prepare = Callable[[Store], object]


@dataclass(frozen=True)
class Promised:
    """A device has heard this."""

    ranges: Ranges


Seen = Step | Change | Promised


@dataclass
class Life:
    """What was seen, in order, from a state of the folder on. next_seq: of each device."""

    files: dict[str, bytes]
    tree: dict[str, bytes | None]
    promised: Ranges
    seen: list[Seen] = field(default_factory=list)


def run(line: Line, budget: int, prepare: Prepare = lambda _store: None) -> None:
    """prepare: done to each store that is opened; a test weakens it to see that the campaign notices."""
    files = watched_files()
    done = 0
    while done < budget:
        seed, cuts = line.seed + done, min(CUTS_A_LIFE, budget - done)
        with quick_folder() as folder:
            _live_and_cut(line, seed, cuts, folder, prepare)
        done += cuts
    files.see = lambda _step: None


def _live_and_cut(line: Line, seed: int, cuts: int, folder: Path, prepare: Prepare) -> None:
    """The last cut of each generation is where the next one begins. All of a life's cuts have the life's seed."""
    chance = random.Random(seed)
    files: dict[str, bytes] = {}
    tree: dict[str, bytes | None] = {}
    promised: Ranges = {}
    share, number = -(-cuts // GENERATIONS), 0
    for generation in range(GENERATIONS):
        here = folder / f"life{generation}"
        here.mkdir()
        life = _live(here, Life(files, tree, promised), generation, chance, prepare)
        for _ in range(min(share, cuts - number)):
            number += 1
            cut = folder / f"cut{number}"
            cut.mkdir()
            files, tree, promised = _cut(life, chance)
            _lay_out(cut, files, tree)
            fault = _judge(cut, promised, line)
            line.done += 1
            if fault:
                raise Fault(seed, f"generation {generation}, cut {number}: {fault}")


def _live(here: Path, life: Life, generation: int, chance: random.Random, prepare: Prepare) -> Life:
    """Let a station live from a state on and see all that it does to the disk."""
    _lay_out(here, life.files, life.tree)
    watched = watched_files()
    messages = _messages(generation, chance)
    with watched_tree(here, life.seen.append):
        watched.see = life.seen.append
        store = Store.open(here)
        prepare(store)
        while messages:
            size = chance.choice((1, 2, 6, 12))
            batch, messages = messages[:size], messages[size:]
            if chance.random() < 0.2:
                batch.append(Arrival("cage-1", "reading", b"{", NOW_S))  # one at fault: the others one by one
            store.take(batch)
            life.seen.append(Promised(_promises(store)))
            if chance.random() < 0.15:
                store.close()
                store = Store.open(here)
                prepare(store)
        watched.see = lambda _step: None
    store.close()
    return life


def _messages(generation: int, chance: random.Random) -> list[Arrival]:
    """Return records and pictures of two devices, some pictures before their readings, some messages twice."""
    found = []
    for device in DEVICES:
        epoch = hashlib.md5(f"{device} {generation} {chance.random()}".encode()).hexdigest()
        for seq in range(1, chance.randrange(5, 15)):
            jpeg = samples.picture(seq, epoch, device, shade=chance.randrange(256))
            if chance.random() < 0.7:
                reading = samples.reading(seq, device=device, thumbnail=jpeg)
                pair = [samples.arrival(reading, seq, epoch=epoch, device=device)]
                pair.append(samples.picture_arrival(jpeg, device=device))
                chance.shuffle(pair)
                found += pair
            else:
                found.append(samples.arrival(samples.reading(seq, device=device), seq, epoch=epoch, device=device))
    for _ in range(len(found) // 3):
        found.insert(chance.randrange(len(found)), chance.choice(found))
    return found


def _promises(store: Store) -> Ranges:
    found = {}
    for device in store.devices():
        for of in store.committed(device).epochs:
            records = RangeSet.from_watermark(of.through, of.holes)
            pictures = RangeSet.from_watermark(of.thumbnails_through, of.thumbnail_holes)
            found[device, of.epoch] = (records, pictures)
    return found


def _cut(life: Life, chance: random.Random) -> tuple[dict[str, bytes], dict[str, bytes | None], Ranges]:
    """Return what lies on the disk after a cut at a moment of the life, and what had been promised by then."""
    moment = chance.randrange(len(life.seen) + 1)
    disk, tree, promised = Disk(), Tree.of(life.tree), life.promised
    for name, content in life.files.items():
        disk.see(Step("write", name, 0, content))
        disk.see(Step("sync", name))
    for seen in life.seen[:moment]:
        if isinstance(seen, Step):
            disk.see(Step(seen.what, Path(seen.path).name, seen.at, seen.data))
        elif isinstance(seen, Change):
            tree.see(seen)
        else:
            promised = {**promised, **seen.ranges}
    return disk.after_cut(chance), tree.after_cut(chance), promised


def _lay_out(here: Path, files: dict[str, bytes], tree: dict[str, bytes | None]) -> None:
    lay_out(here, files)
    lay_out_tree(here, tree)


def _judge(here: Path, promised: Ranges, line: Line) -> str:
    """Return what is wrong with what is left, "" where all is well."""
    store = Store.open(here)
    try:
        connection = store._connection
        rows = [RecordRow(*row) for row in connection.execute(f"SELECT {COLUMNS} FROM records").fetchall()]
        stored = {(row.device, row.epoch, row.seq) for row in rows}
        for row in rows:
            if identity.digest(read_body(row)) != row.digest:
                return f"{row.seq} has another content than was written"
        pictures = set()
        for device, epoch, seq, path, sha in connection.execute(
            "SELECT device, epoch, seq, path, sha256 FROM thumbnails"
        ).fetchall():
            file = here / path
            if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != sha:
                return f"the row of picture {seq} names a file that is not there whole"
            pictures.add((device, epoch, seq))
        now = _promises(store)
        pictured = {
            tuple(row)
            for row in connection.execute(
                "SELECT device, epoch, seq FROM readings WHERE thumbnail_sha256 IS NOT NULL"
            ).fetchall()
        }
        wrong = _compare(promised, now, stored, pictures, pictured)
        if wrong:
            return wrong
        for key in stored:
            if key[2] not in now.get((key[0], key[1]), (RangeSet(), RangeSet()))[0]:
                return f"record {key[2]} is stored and not accounted for"
        problems = connection.execute("PRAGMA integrity_check").fetchall()
        line.count("records judged", len(stored))
        line.count("pictures judged", len(pictures))
        return "" if problems == [("ok",)] else f"integrity: {problems[:2]}"
    finally:
        store.close()


def _compare(promised: Ranges, now: Ranges, stored: set[tuple[str, str, int]], pictures: set[tuple[str, str, int]],
             pictured: set[tuple[str, str, int]]) -> str:  # fmt: skip
    """Return which promise is not kept: one that a device has heard, or one that is made now."""
    for which in (promised, now):
        for (device, epoch), (records, thumbnails) in which.items():
            for first, last in records:
                for seq in range(first, last + 1):
                    if (device, epoch, seq) not in stored:
                        return f"record {seq} was promised and is lost"
            for first, last in thumbnails:
                for seq in range(first, last + 1):
                    key = (device, epoch, seq)
                    if key not in pictures and (key in pictured or key not in stored):
                        return f"picture {seq} was promised and is lost"
    for key, (records, thumbnails) in promised.items():
        held = now.get(key, (RangeSet(), RangeSet()))
        for earlier, later in ((records, held[0]), (thumbnails, held[1])):
            if any(later.missing(first, last) for first, last in earlier):
                return f"the promise of {key[0]} went back"
    return ""


if __name__ == "__main__":
    main(run, "power cuts of the station", "cuts", ci=600, full=50_000, chunk=1_000)
