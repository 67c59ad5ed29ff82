"""Bit flips in the outbox: noticed or harmless, never a wrong row or picture to the publisher, never a silent loss.

An outbox with two epochs, its journal unfinished, a station's watermark and pictures; some bits of one file flip. The
publisher reads first, as between two captures; then capture starts, appends and checks; the publisher reads again.
One thing looks like a power cut: a flip in the newest entry of an unfinished journal. It is named as that.
"""

from __future__ import annotations

import random
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.config import tree
from edge.contract import jsontext
from edge.contract.ranges import RangeSet
from edge.contract.record import EVENT_SCHEMA, Event
from edge.errors import CageclockError, StorageError
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import Reader
from edge.outbox.watermarks import Released, read_released
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.campaigns.synthetic import DEVICE, make_event, make_reading
from tests.losses import read_losses

SETTINGS = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)
OUTBOXES = 4
CHECK_S = 20.0
Key = tuple[str, int]


@dataclass(frozen=True)
class Original:
    """What was written: stream and body of each record, each picture by its sha256, and the station's promise."""

    folder: Path
    epoch: str
    rows: dict[Key, tuple[str, bytes]]
    pictures: dict[str, bytes]
    released: dict[str, Released]


def run(line: Line, budget: int) -> None:
    with quick_folder() as folder:
        originals = [_fill(folder / f"original{number}", random.Random(number)) for number in range(OUTBOXES)]
        for number in range(budget):
            seed = line.seed + number
            fault = _flip_and_judge(folder / "flipped", originals[seed % OUTBOXES], random.Random(seed), line)
            line.done += 1
            if fault:
                raise Fault(seed, fault)


def _fill(folder: Path, chance: random.Random) -> Original:
    """Fill an outbox as a device does, and leave it as a power cut would, or a clean stop."""
    live = folder.with_name(folder.name + "-live")
    live.mkdir()
    outbox = _opened(live, "a")
    for number in range(40):
        if number == 25:
            outbox.close()
            outbox = _opened(live, "b")  # another board: a second epoch
        outbox.append_reading(make_reading(chance.randbytes(900) if number % 3 == 0 else None, chance))
        if number % 7 == 0:
            outbox.append_record(make_event(chance))
    reader = _reader(live)
    epochs = reader.epochs()
    rows = {(row.epoch, row.seq): row for of in epochs for row in reader.rows(of.epoch, 1, of.last)}
    shown = {row.thumbnail: reader.picture(row.thumbnail) for row in rows.values() if row.thumbnail is not None}
    reader.close()
    released = {epochs[0].epoch: Released(RangeSet([(1, 9)]), RangeSet([(1, 9)]))}
    delivery = PublishFile.open(live, device_id=DEVICE)
    delivery.set_released(released, "db-1")
    delivery.close()
    if chance.random() < 0.5:
        outbox.close()
        shutil.copytree(live, folder)
    else:
        shutil.copytree(live, folder)
        outbox.close()
    written = {key: (row.kind, row.body) for key, row in rows.items()}
    return Original(
        folder, epochs[-1].epoch, written, {sha: content for sha, content in shown.items() if content}, released
    )


def _flip_and_judge(here: Path, original: Original, chance: random.Random, line: Line) -> str:
    """Return what went wrong, "" where all is well."""
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(original.folder, here)
    files = [
        path for path in sorted(here.rglob("*")) if path.suffix in (".db", ".db-wal", ".jpg") and path.stat().st_size
    ]
    weights = [20 if path.name.startswith("outbox") else 3 if path.suffix == ".db" else 0.3 for path in files]
    victim = chance.choices(files, weights)[0]
    _flip(victim, chance)
    line.count(f"in {victim.suffix if victim.suffix == '.jpg' else victim.name}")

    delivered: dict[Key, bytes] = {}
    wrong = _publish(here, original, delivered)
    if wrong:
        return f"{victim.name}: before the check: {wrong}"
    try:
        outbox = _opened(here, "b")
        fresh = [outbox.append_reading(make_reading(b"new", chance)).key]
        deadline = time.monotonic() + CHECK_S
        outbox.maintain()
        while outbox.checking and time.monotonic() < deadline:
            time.sleep(0.002)
            outbox.maintain()
        fresh.append(outbox.append_reading(make_reading(None, chance)).key)
        outbox.close()
    except CageclockError as error:
        return f"{victim.name}: capture ended with {type(error).__name__}: {error}"
    line.count("set aside", bool(list(here.glob("outbox.db.damaged*"))))
    if set(fresh) & set(original.rows) or len(set(fresh)) != len(fresh):
        return f"{victim.name}: {fresh} was given a second time"
    wrong = _publish(here, original, delivered, complete=True)
    return f"{victim.name}: after the check: {wrong}" if wrong else ""


def _flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 8))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(data))


def _publish(here: Path, original: Original, delivered: dict[Key, bytes], *, complete: bool = False) -> str:
    """Read all that the publisher would send; return what of it is wrong, or missing where it should be complete."""
    lost: dict[str, RangeSet] = {}
    reader, in_doubt = _reader(here), 0
    try:
        for of in reader.epochs():
            for row in reader.rows(of.epoch, 1, 10**6):
                key = (row.epoch, row.seq)
                if key in original.rows and original.rows[key] != (row.kind, row.body):
                    return f"record {row.seq} would be sent with another content"
                if delivered.setdefault(key, row.body) != row.body:
                    return f"record {row.seq} would be sent a second time with another content"
                for named in read_losses(row.schema, row.body):
                    if named.what == "record":
                        lost.setdefault(named.of_epoch, RangeSet()).add(named.first_seq, named.last_seq)
                if row.schema == EVENT_SCHEMA:
                    in_doubt += int(jsontext.decode(row.body, Event).detail.get("in_doubt") or 0)
                content = reader.picture(row.thumbnail) if row.thumbnail is not None else None
                if content is not None and original.pictures.get(row.thumbnail or "", content) != content:
                    return f"the picture of record {row.seq} would be sent with another content"
    except StorageError as error:
        return f"the publisher still cannot read: {error}" if complete else ""
    finally:
        reader.close()
    for epoch, released in read_released(here / "delivery.db").items():
        for first, last in released.records:
            promised = original.released.get(epoch, Released()).records
            if not all(number in promised for number in (first, last)):
                return f"{first}..{last} of {epoch} counts as released and is not"
    if complete:
        newest = (
            sorted(original.rows, key=lambda key: (key[0] == original.epoch, key[1]))[-in_doubt:] if in_doubt else []
        )
        for epoch, seq in original.rows:
            held = (epoch, seq) in delivered or seq in original.released.get(epoch, Released()).records
            if not held and seq not in lost.get(epoch, RangeSet()) and (epoch, seq) not in newest:
                return f"record {seq} vanished without a word"
    return ""


def _reader(here: Path) -> Reader:
    reader = Reader(here / "outbox.db")
    with suppress(StorageError):
        reader.changed()
    return reader


def _opened(here: Path, serial: str) -> Outbox:
    return Outbox.open(here, SETTINGS, device_id=DEVICE, serial=serial)


if __name__ == "__main__":
    main(run, "bit flips", "flipped files", ci=200, full=20_000, chunk=500)
