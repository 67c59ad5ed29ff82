"""A tail that is this card's own goes on under a new epoch, whole, through a power cut at any step."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from edge.config import tree
from edge.contract import jsontext
from edge.contract.reading import Reading
from edge.contract.record import Event
from edge.outbox import Outbox
from edge.outbox.delivery import Delivery
from edge.outbox.parting import Parting, rename_picture
from edge.outbox.reader import Reader
from edge.outbox.sequence import Row

SETTINGS = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)


class Cut(BaseException):
    """The power is gone."""


def opened(folder, step=lambda _name: None) -> Outbox:
    return Outbox.open(folder, SETTINGS, device_id="cage07", serial="s", step=step)


def rows_of(folder, name: str = "outbox.db") -> list[Row]:
    reader = Reader(folder / name)
    reader.changed()
    found = [row for held in reader.epochs() for row in reader.rows(held.epoch, 1, 10**9)]
    reader.close()
    return found


def jpeg_of(epoch: str, seq: int) -> bytes:
    return b'\xff\xd8\xff\xe1Exif{"device_id":"cage07","epoch":"%s","seq":%d,"captured_at":"x"}rest' % (
        epoch.encode(),
        seq,
    )


def append(outbox: Outbox, count: int, reading) -> None:
    for _ in range(count):

        def build(epoch: str, seq: int):
            jpeg = jpeg_of(epoch, seq)
            made, _ = reading(jpeg, same_picture=True, detail=f"{seq} of {epoch}")(epoch, seq)
            return made, jpeg

        outbox.append_reading(build)


def part(folder, epoch: str, first: int) -> None:
    delivery = Delivery.open(folder, device_id="cage07")
    delivery.part(epoch, Parting(first, 40))
    delivery.close()


def check(folder, epoch: str, count: int, first: int) -> None:
    """Every reading is there once, in order, each with the picture that it names, whose EXIF names its identity."""
    rows = [row for row in rows_of(folder) if row.kind == "reading"]
    details = [jsontext.decode(row.body, Reading).detail for row in rows]
    assert details == [f"{seq} of {epoch}" for seq in range(1, count + 1)]
    assert [row.seq for row in rows] == [*range(1, first), *range(1, count - first + 2)]
    assert {row.epoch for row in rows[: first - 1]} == ({epoch} if first > 1 else set())
    assert epoch not in {row.epoch for row in rows[first - 1 :]}
    for row in rows:
        jpeg = (folder / "thumbnails" / f"{row.thumbnail}.jpg").read_bytes()
        told = jsontext.decode(row.body, Reading).thumbnail
        assert told.sha256 == row.thumbnail == hashlib.sha256(jpeg).hexdigest()
        assert (told.bytes, row.thumbnail_bytes) == (len(jpeg), len(jpeg))
        named = jsontext.parse(jpeg[jpeg.index(b"{") : jpeg.index(b"}") + 1])
        assert (named["epoch"], named["seq"]) == (row.epoch, row.seq)


@pytest.mark.parametrize("first", [1, 4, 12, 13])
def test_the_tail_moves_with_its_pictures_and_the_common_part_stays(tmp_path, reading, first):
    outbox = opened(tmp_path)
    append(outbox, 12, reading)
    epoch = outbox.epoch
    part(tmp_path, epoch, first)
    outbox.maintain()
    new = outbox.epoch
    assert new != epoch
    outbox.maintain()
    assert outbox.epoch == new, "once"
    check(tmp_path, epoch, 12, first)
    events = [jsontext.decode(row.body, Event) for row in rows_of(tmp_path) if row.kind == "record"]
    assert [event.code for event in events] == ["epoch_begun", "restored_card"]
    detail = {"epoch": epoch, "first": first, "last": 12, "station": 40, "moved": 13 - first}
    assert events[1].detail == detail
    assert len(list((tmp_path / "thumbnails").glob("*.jpg"))) == 12
    outbox.close()
    opened(tmp_path).close()  # and the file is sound


@pytest.mark.parametrize("step", ["thumbnail synced", "tail moved", "tail committed"])
def test_a_power_cut_while_the_tail_moves_loses_and_doubles_nothing(tmp_path, reading, step):
    outbox = opened(tmp_path)
    append(outbox, 6, reading)
    epoch = outbox.epoch
    outbox.close()
    part(tmp_path, epoch, 3)

    def cut(name: str) -> None:
        if name == step:
            raise Cut

    outbox = opened(tmp_path, cut)
    with pytest.raises(Cut):
        outbox.maintain()
    outbox.close()
    outbox = opened(tmp_path)
    outbox.maintain()
    outbox.close()
    check(tmp_path, epoch, 6, 3)


def test_an_epoch_that_is_over_gives_its_tail_too_and_the_current_one_ends_all_the_same(tmp_path, reading):
    outbox = opened(tmp_path)
    append(outbox, 3, reading)
    epoch = outbox.epoch
    outbox.close()
    outbox = Outbox.open(tmp_path, SETTINGS, device_id="cage07", serial="another board")
    part(tmp_path, epoch, 2)
    outbox.maintain()
    outbox.close()
    readings = [row for row in rows_of(tmp_path) if row.kind == "reading"]
    assert [(row.epoch == epoch, row.seq) for row in readings] == [(True, 1), (False, 1), (False, 2)]


def test_publishs_own_events_move_as_well(tmp_path):
    delivery = Delivery.open(tmp_path, device_id="cage07")
    for number in range(4):
        delivery.event("watchdog", f"event {number}")
    epoch = rows_of(tmp_path, "delivery.db")[0].epoch
    delivery.part(epoch, Parting(3, 4))
    delivery.close()
    rows = rows_of(tmp_path, "delivery.db")
    assert [(row.epoch == epoch, row.seq) for row in rows] == [(True, 1), (True, 2), (False, 1), (False, 2), (False, 3)]
    assert jsontext.decode(rows[-1].body, Event).code == "restored_card"
    Delivery.open(tmp_path, device_id="cage07").close()


def test_a_picture_without_an_identity_stays_as_it_is():
    jpeg = b"\xff\xd8\xff plain"
    assert rename_picture(jpeg, ("a" * 32, 5), ("b" * 32, 1)) == jpeg
    longer = rename_picture(jpeg_of("a" * 32, 105), ("a" * 32, 105), ("b" * 32, 5))
    assert longer == jpeg_of("b" * 32, 5).replace(b'"seq":5', b'"seq":  5')


def test_two_copies_of_one_tail_come_to_the_same_identities_and_another_tail_to_others(tmp_path, reading):
    """Each parts from a third card by itself: what they have in common must not reach the station under two names."""
    for name in ("a", "c"):
        (tmp_path / name).mkdir()
    outbox = opened(tmp_path / "a")
    append(outbox, 6, reading)
    epoch = outbox.epoch
    outbox.close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    found = {}
    for name in ("a", "b"):
        outbox = opened(tmp_path / name)
        append(outbox, 1 + (name == "b"), reading)
        part(tmp_path / name, epoch, 4)
        outbox.maintain()
        outbox.close()
        found[name] = [(row.epoch, row.seq, row.digest, row.thumbnail) for row in rows_of(tmp_path / name)]
    assert found["a"][:6] == found["b"][:6]
    assert found["a"][5][1] == 3
    assert found["a"][5][0] != epoch

    other = opened(tmp_path / "c")
    append(other, 6, reading)
    part(tmp_path / "c", other.epoch, 4)
    other.maintain()
    assert other.epoch not in {found["a"][5][0], epoch}
    other.close()
