"""Power cuts under the outbox: what `append` had returned for is there, whole, with its picture; no number is missing.

One life of an outbox is watched step by step; then the power goes at some hundred moments of it, each time with other
unsynced writes kept, dropped or torn. The outbox is opened on what is left, judged, and goes on; the power goes again.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.config import tree
from edge.contract import identity
from edge.contract.ranges import RangeSet
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import Reader
from edge.outbox.watermarks import Released
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.campaigns.disk import Disk, lay_out
from tests.campaigns.synthetic import make_event, make_reading
from tests.campaigns.tree import Change, Tree, lay_out_tree, watched_tree
from tests.campaigns.vfs import Step, WatchedFiles, watched_files

SETTINGS = tree.Outbox(max_mb=1, min_free_mb=0, keep_days=1, reserve_mb=0)
CUTS_A_LIFE, GENERATIONS = 100, 4
Key = tuple[str, int]
Prepare = Callable[[Outbox], object]


@dataclass(frozen=True)
class Acknowledged:
    """`append` has returned for this record."""

    key: Key


Seen = Step | Acknowledged | Change


@dataclass
class Life:
    """What was seen, in order, from a state of the folder on. released: what a station had promised at the end."""

    before: dict[str, bytes]
    pictures: dict[str, bytes | None]
    acknowledged_before: set[Key]
    seen: list[Seen] = field(default_factory=list)
    released: dict[str, Released] = field(default_factory=dict)


def run(line: Line, budget: int, prepare: Prepare = lambda _outbox: None) -> None:
    """prepare: done to each outbox that is opened; a test weakens it to see that the campaign notices."""
    files = watched_files()
    done = 0
    while done < budget:
        seed = line.seed + done
        cuts = min(CUTS_A_LIFE, budget - done)
        with quick_folder() as folder:
            _live_and_cut(line, seed, cuts, folder, prepare)
        done += cuts
    files.see = lambda _step: None


def _live_and_cut(line: Line, seed: int, cuts: int, folder: Path, prepare: Prepare) -> None:
    """The last cut of each generation is where the next one begins. All of a life's cuts have the life's seed."""
    chance = random.Random(seed)
    start: dict[str, bytes] = {}
    pictures: dict[str, bytes | None] = {}
    acknowledged: set[Key] = set()
    share = -(-cuts // GENERATIONS)
    number = 0
    for generation in range(GENERATIONS):
        here = folder / f"life{generation}"
        here.mkdir()
        life = _live(here, Life(start, pictures, set(acknowledged)), chance, prepare)
        for _ in range(min(share, cuts - number)):
            number += 1
            cut = folder / f"cut{number}"
            left, pictures_left, acknowledged_then = _cut(life, chance)
            cut.mkdir()
            _lay_out(cut, left, pictures_left)
            fault = _judge(cut, acknowledged_then, life, line)
            line.done += 1
            if fault:
                raise Fault(seed, f"generation {generation}, cut {number}: {fault}")
        start, pictures, acknowledged = left, pictures_left, acknowledged_then


def _live(here: Path, life: Life, chance: random.Random, prepare: Prepare) -> Life:
    """Let an outbox live from a state on and see all that it does to the disk."""
    _lay_out(here, life.before, life.pictures)

    def see(change: Change) -> None:
        if change.path in (".", "thumbnails") or change.path.startswith("thumbnails/"):
            life.seen.append(change)

    files = watched_files()
    files.see = life.seen.append
    with watched_tree(here, see):
        _use(here, life, files, chance, prepare)
    return life


def _use(here: Path, life: Life, files: WatchedFiles, chance: random.Random, prepare: Prepare) -> None:
    outbox = _opened(here)
    prepare(outbox)
    for _ in range(chance.randrange(5, 40)):
        doing = chance.random()
        if doing < 0.5:
            picture = chance.randbytes(chance.choice((20, 3000, 60_000)))
            life.seen.append(Acknowledged(outbox.append_reading(make_reading(picture, chance)).key))
        elif doing < 0.75:
            life.seen.append(Acknowledged(outbox.append_reading(make_reading(None, chance)).key))
        elif doing < 0.85:
            life.seen.append(Acknowledged(outbox.append_record(make_event(chance))))
        elif doing < 0.93:
            outbox.maintain()
        elif doing < 0.97:
            outbox.close()
            outbox = _opened(here)
            prepare(outbox)
        else:
            files.see = lambda _step: None  # publish's own file is not on trial here
            _release(here, outbox, life)
            files.see = life.seen.append
    files.see = lambda _step: None
    outbox.close()


def _release(here: Path, outbox: Outbox, life: Life) -> None:
    """Let a station promise what there is; the outbox hears of it at the end, so a cut judges a record as either."""
    life.released[outbox.epoch] = Released(
        RangeSet([(1, max(1, outbox.last_seq))]), RangeSet([(1, outbox.last_seq or 1)])
    )
    delivery = PublishFile.open(here, device_id="cage07")
    delivery.set_released(life.released, "db-1")
    delivery.close()


def _opened(here: Path) -> Outbox:
    return Outbox.open(here, SETTINGS, device_id="cage07", serial="s")


def _cut(life: Life, chance: random.Random) -> tuple[dict[str, bytes], dict[str, bytes | None], set[Key]]:
    """Return what lies on the disk after a cut at a moment of the life, and what had been promised by then."""
    moment = chance.randrange(len(life.seen) + 1)
    disk, pictures, acknowledged = Disk(), Tree.of(life.pictures), set(life.acknowledged_before)
    for name, content in life.before.items():
        disk.see(Step("write", name, 0, content))
        disk.see(Step("sync", name))
    for seen in life.seen[:moment]:
        if isinstance(seen, Step):
            disk.see(Step(seen.what, Path(seen.path).name, seen.at, seen.data))
        elif isinstance(seen, Acknowledged):
            acknowledged.add(seen.key)
        else:
            pictures.see(seen)
    return disk.after_cut(chance), pictures.after_cut(chance), acknowledged


def _lay_out(here: Path, left: dict[str, bytes], pictures: dict[str, bytes | None]) -> None:
    lay_out(here, left)
    lay_out_tree(here, pictures)


def _judge(here: Path, acknowledged: set[Key], life: Life, line: Line) -> str:
    """Return what is wrong with what is left, "" where all is well."""
    outbox = _opened(here)
    if list(here.glob("*.damaged*")):
        return "a power cut was taken for damage"
    epoch, last = outbox.epoch, outbox.last_seq
    fresh = outbox.append_reading(make_reading(b"after", random.Random(0))).key
    if fresh in acknowledged:
        return f"{fresh} was given a second time"
    reader = Reader(here / "outbox.db")
    reader.changed()
    rows = {(row.epoch, row.seq): row for of in reader.epochs() for row in reader.rows(of.epoch, 1, of.last)}
    for row in rows.values():
        content = reader.picture(row.thumbnail) if row.thumbnail is not None else None
        if identity.digest(row.body) != row.digest:
            return f"{row.seq} has another content than was written"
        if row.thumbnail is not None and (content is None or hashlib.sha256(content).hexdigest() != row.thumbnail):
            return f"{row.seq} names a picture that is not there whole"
    problems = outbox._file.connection.execute("PRAGMA integrity_check").fetchall()
    outbox.close()
    reader.close()
    line.count("records judged", len(acknowledged))
    missing = [key for key in acknowledged if key not in rows]
    gone = [key for key in missing if key[1] not in life.released.get(key[0], Released()).records]
    if gone:
        return f"{len(gone)} of {len(acknowledged)} records were lost: {sorted(gone)[:3]}"
    held = sorted(seq for of, seq in rows if of == epoch and seq <= last)
    if held and held != list(range(held[0], last + 1)):
        return f"numbers are missing between {held[0]} and {last}"
    return "" if problems == [("ok",)] else f"integrity: {problems[:2]}"


if __name__ == "__main__":
    main(run, "power cuts", "cuts", ci=1_000, full=200_000, chunk=1_000)
