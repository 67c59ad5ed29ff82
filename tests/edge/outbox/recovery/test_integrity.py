"""Whatever happens to the file, the outbox opens, takes the next reading, and says what became of the rest."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from edge.config import tree
from edge.contract.ranges import RangeSet
from edge.outbox import Outbox
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import Reader
from tests.harness.waiting import wait_until
from tests.losses import read_losses

SETTINGS = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)
BEFORE = 40


def opened(folder: Path) -> Outbox:
    return Outbox.open(folder, SETTINGS, device_id="cage07", serial="s")


@pytest.fixture(scope="module")
def filled(tmp_path_factory, reading) -> dict[str, Path]:
    """Return an outbox of 40 readings as a clean stop leaves it, and as a power cut does, with its journal."""
    folder = tmp_path_factory.mktemp("filled")
    stopped, cut = folder / "stopped", folder / "cut"
    stopped.mkdir()
    outbox = opened(stopped)
    for number in range(BEFORE):
        outbox.append_reading(reading(b"j" if number % 3 else None, detail="x" * number * 50))
    shutil.copytree(stopped, cut)
    outbox.close()
    return {"stopped": stopped, "cut": cut}


def flip_bits(data: bytearray, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def scramble_page(data: bytearray, rng: random.Random) -> bytes:
    start = rng.randrange(len(data)) // 4096 * 4096
    data[start : start + 4096] = rng.randbytes(4096)
    return bytes(data)


def blank_pages(data: bytearray, rng: random.Random) -> bytes:
    start = rng.randrange(len(data)) // 4096 * 4096
    data[start : start + 8192] = bytes(8192)
    return bytes(data)


def cut_short(data: bytearray, rng: random.Random) -> bytes:
    return bytes(data[: rng.randrange(len(data))])


def change_header(data: bytearray, rng: random.Random) -> bytes:
    data[rng.randrange(min(200, len(data)))] = rng.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("state", ["stopped", "cut"])
@pytest.mark.parametrize("harm", [flip_bits, scramble_page, blank_pages, cut_short, change_header])
def test_after_any_damage_it_opens_and_keeps_what_is_appended_from_then_on(tmp_path, filled, reading, harm, state):
    for number in range(8):
        rng = random.Random(f"{harm.__name__}{state}{number}")
        folder = tmp_path / str(number)
        shutil.copytree(filled[state], folder)
        name = rng.choice([name for name in ("outbox.db", "outbox.db-wal") if (folder / name).exists()])
        (folder / name).write_bytes(harm(bytearray((folder / name).read_bytes()), rng))

        outbox = opened(folder)
        acknowledged = [outbox.append_reading(reading()).key for _ in range(3)]
        settle(outbox)
        acknowledged.append(outbox.append_reading(reading()).key)
        outbox.close()

        again = opened(folder)
        held = accounted(folder)
        again.close()
        assert len(set(acknowledged)) == len(acknowledged), "no number is given twice"
        assert all(seq in held[epoch] for epoch, seq in acknowledged), f"{harm.__name__} {number} of {name}"


def settle(outbox: Outbox) -> None:
    """Maintain until the check beside the captures has been looked at."""

    def looked_at() -> bool:
        outbox.maintain()
        return not outbox.checking

    wait_until(looked_at, pause_s=0.003)


def accounted(folder: Path) -> dict[str, RangeSet]:
    """Return, per epoch, the numbers that are held or named in a `lost` record."""
    found: dict[str, RangeSet] = {}
    reader = Reader(folder / "outbox.db")
    reader.changed()
    for held in reader.epochs():
        for row in reader.rows(held.epoch, 1, 10**9):
            found.setdefault(held.epoch, RangeSet()).add(row.seq)
            for lost in read_losses(row.schema, row.body):
                if lost.what == "record":
                    found.setdefault(lost.of_epoch, RangeSet()).add(lost.first_seq, lost.last_seq)
    reader.close()
    return found


def test_every_number_of_a_file_with_broken_pages_is_saved_or_named_as_lost(tmp_path, filled, reading):
    [first] = accounted(filled["stopped"])
    for page in range(4, 12):
        folder = tmp_path / str(page)
        shutil.copytree(filled["stopped"], folder)
        with (folder / "outbox.db").open("r+b") as file:
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
        outbox = opened(folder)
        outbox.append_reading(reading())
        settle(outbox)
        outbox.close()
        assert outbox.epoch != first, f"page {page} went unnoticed"
        old = accounted(folder)[first]
        assert next(iter(old))[0] == 1
        assert old.count() == old.highest >= BEFORE, f"page {page}: {list(old)}"


def test_publishs_file_is_replaced_when_a_page_of_it_rots(tmp_path):
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    for number in range(200):
        delivery.event("watchdog", f"{number} " + "x" * 500)
    delivery.close()
    path = tmp_path / "delivery.db"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(data)
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    delivery.add_request("r1")
    delivery.close()
    assert list(tmp_path.glob("delivery.db.damaged-*"))
    reader = Reader(path)
    reader.changed()
    before, after = reader.epochs()
    saved = {row.seq for row in reader.rows(before.epoch, 1, 300)}
    rows = reader.rows(after.epoch, 1, 300)
    reader.close()
    assert b"database_set_aside" in rows[1].body
    losses = [loss for row in rows for loss in read_losses(row.schema, row.body)]
    gone = RangeSet((lost.first_seq, lost.last_seq) for lost in losses if lost.of_epoch == before.epoch)
    assert 0 < gone.count() <= 16, "what two pages held"
    assert [seq for seq in range(1, 201) if seq not in gone] == sorted(saved), "each is saved or named"
