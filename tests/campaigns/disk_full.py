"""No space left at every write point of the outbox: nothing acknowledged is lost, what could not be kept is said.

First one round of work is done with space, and every write is counted: SQLite's (by the watched files) and those of
pictures, reserve and folders (a full file system refuses those in the same way). Then the round is done once for every
write point, with the disk full from that write on for a while; in the end there is space again.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edge.config import tree
from edge.errors import DiskFull
from edge.outbox import Outbox
from edge.outbox.reader import Reader
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.campaigns.synthetic import DEVICE, make_event, make_reading
from tests.campaigns.vfs import Step, watched_files
from tests.losses import read_losses

SETTINGS = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=1)
APPENDS = 14
LONG = (1, 3, 40, 10**9)
"""How many writes are refused: one, some of an entry, several entries, all until there is space again."""
Key = tuple[str, int]


@dataclass
class Refusals:
    """Refuses writes number first..first+count-1; with `reserve_helps` only until the reserve is given up."""

    folder: Path
    first: int
    count: int
    reserve_helps: bool
    seen: int = 0

    def __call__(self, step: Step) -> bool:
        self.seen += 1
        full = self.first <= self.seen < self.first + self.count
        return full and not (self.reserve_helps and not (self.folder / "reserve").exists())


def run(line: Line, budget: int) -> None:
    files = watched_files()
    with quick_folder() as folder:
        counter = Refusals(folder, 10**9, 0, False)
        _one_round(folder / "all", counter, line.seed, line)
        points = counter.seen
    line.count("write points", points)
    variants = [(count, helps) for count in LONG for helps in (True, False)]
    for number in range(min(budget, points * len(variants))):
        place = number % points + 1
        count, helps = variants[(number // points + place) % len(variants)]
        with quick_folder() as folder:
            fault = _one_round(folder / "state", Refusals(folder / "state", place, count, helps), line.seed, line)
        line.done += 1
        if fault:
            raise Fault(line.seed, f"round {number}: write point {place}, {count} writes, reserve {helps}: {fault}")
    files.refuse = lambda _step: False


def _one_round(folder: Path, refuse: Refusals, seed: int, line: Line) -> str:
    """Open, append, look after, close, open again; return what is wrong in the end."""
    folder.mkdir()
    files, chance = watched_files(), random.Random(seed)
    acknowledged: dict[Key, str | None] = {}
    files.refuse = refuse
    outbox = _open(folder, files)
    refused = 0
    for number in range(APPENDS):
        if number == APPENDS - 3:
            files.refuse = lambda _step: False  # somebody made space
        picture = chance.randbytes(2000) if number % 2 else None
        try:
            if number % 5 == 4:
                acknowledged[outbox.append_record(make_event(chance))] = None
            else:
                key = outbox.append_reading(make_reading(picture, chance)).key
                acknowledged[key] = None if picture is None else hashlib.sha256(picture).hexdigest()
        except DiskFull:
            refused += 1
            line.count("appends refused")
        outbox.maintain()
        if number == APPENDS // 2:
            outbox.close()
            outbox = _open(folder, files)
    outbox.maintain()
    still_full = outbox.full
    outbox.close()
    _open(folder, files).close()
    wrong = _judge(folder, acknowledged)
    if not wrong and still_full:
        return "it does not notice that there is space again"
    return wrong


def _open(folder: Path, files: object) -> Outbox:
    """Open; a disk that is too full for that is a restart of the unit, and in the end there is space."""
    for _ in range(50):
        try:
            return Outbox.open(folder, SETTINGS, device_id=DEVICE, serial="s")
        except DiskFull:
            continue
    watched_files().refuse = lambda _step: False
    return Outbox.open(folder, SETTINGS, device_id=DEVICE, serial="s")


def _judge(folder: Path, acknowledged: dict[Key, str | None]) -> str:
    if list(folder.glob("*.damaged*")):
        return "a full disk was taken for damage"
    reader = Reader(folder / "outbox.db")
    reader.changed()
    epochs = reader.epochs()
    rows = {(row.epoch, row.seq): row for of in epochs for row in reader.rows(of.epoch, 1, of.last)}
    lost = [loss for row in rows.values() for loss in read_losses(row.schema, row.body)]
    named = {
        (of.of_epoch, seq) for of in lost if of.what == "thumbnail" for seq in range(of.first_seq, of.last_seq + 1)
    }
    shown = {key: row.thumbnail for key, row in rows.items() if row.thumbnail and reader.picture(row.thumbnail)}
    reader.close()
    for of in epochs:
        if [seq for epoch, seq in sorted(rows) if epoch == of.epoch] != list(range(1, of.last + 1)):
            return "numbers are missing"
    for key, sha in acknowledged.items():
        if key not in rows:
            return f"record {key[1]} was acknowledged and is gone"
        if sha is not None and shown.get(key) != sha and key not in named:
            return f"the picture of {key[1]} is gone without a word"
    return ""


def fill_for_real(folder: Path, line: Line) -> str:
    """The same work on a small file system that is really full, several times; return what is wrong in the end."""
    chance, acknowledged, files = random.Random(line.seed), {}, watched_files()
    state = folder / "state"
    state.mkdir()
    outbox = _open(state, files)
    outbox.maintain()
    for round_ in range(4):
        filler = folder / "filler"
        with filler.open("wb", buffering=0) as file:
            block = 1 << 20
            while block >= 512:  # to the last byte
                try:
                    file.write(bytes(block))
                except OSError:
                    block //= 2
        for number in range(60):
            picture = chance.randbytes(20_000) if number % 2 else None
            try:
                key = outbox.append_reading(make_reading(picture, chance)).key
                acknowledged[key] = None if picture is None else hashlib.sha256(picture).hexdigest()
            except DiskFull:
                line.count("appends refused")
            outbox.maintain()
        line.count("times really full")
        filler.unlink()
        for _ in range(3):
            key = outbox.append_reading(make_reading(b"after", chance)).key
            acknowledged[key] = hashlib.sha256(b"after").hexdigest()
            outbox.maintain()
        if outbox.full:
            return f"round {round_}: it does not notice that there is space again"
    outbox.close()
    return _judge(state, acknowledged)


@contextmanager
def small_disk(kind: str) -> Iterator[Path]:
    """Mount 12 MB of tmpfs, of ext4 in a file, or of an overlay above tmpfs.

    Raises:
        PermissionError: this user, or this machine, cannot.
    """
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        disk, mounted = top / "disk", []

        def mount(*words: str) -> None:
            done = subprocess.run(["mount", *words], capture_output=True, text=True)
            if done.returncode:
                raise PermissionError(f"{kind}: {done.stderr.strip()}")
            mounted.append(words[-1])

        disk.mkdir()
        try:
            if kind == "ext4":
                image = top / "image"
                image.write_bytes(bytes(12 << 20))
                subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True, capture_output=True)
                mount("-o", "loop", str(image), str(disk))
            else:
                mount("-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk))
            if kind == "overlay":
                for part in ("lower", "upper", "work", "merged"):
                    (disk / part).mkdir()
                parts = f"lowerdir={disk / 'lower'},upperdir={disk / 'upper'},workdir={disk / 'work'}"
                mount("-t", "overlay", "-o", parts, "overlay", str(disk / "merged"))
            yield disk / "merged" if kind == "overlay" else disk
        finally:
            for place in reversed(mounted):
                subprocess.run(["umount", place], check=True, capture_output=True)


if __name__ == "__main__":
    main(run, "disk full at every write point", "rounds", ci=100_000, full=100_000, chunk=100_000)
