"""The outbox keeps what it was given, through kills, damage, clones and full disks."""

from __future__ import annotations

import os
import time

import pytest

from edge.contract import identity
from edge.contract.ranges import RangeSet
from edge.errors import OperatorError
from edge.outbox import Outbox
from edge.outbox.capture_requests import Requests
from edge.outbox.publish_file import PublishFile
from edge.outbox.reader import Reader
from tests.edge.outbox.reading_back import SMALL, events_of, losses_of, opened, rows_of


def test_what_was_appended_is_there_after_opening_again_with_its_picture_and_digest(tmp_path, reading):
    outbox = opened(tmp_path)
    first, second = outbox.append_reading(reading()).key, outbox.append_reading(reading(None)).key
    assert (outbox.epoch, outbox.last_seq) == second == (first[0], 2)
    outbox.close()
    with_picture, without = rows_of(tmp_path)
    assert (tmp_path / "thumbnails" / f"{with_picture.thumbnail}.jpg").read_bytes().startswith(b"jpeg")
    assert without.thumbnail is None
    assert with_picture.digest == identity.digest(with_picture.body)
    assert with_picture.body.startswith(b'{"schema":"cageclock/reading/1"')


def test_a_second_writer_is_refused_with_the_number_of_the_first(tmp_path):
    outbox = opened(tmp_path)
    with pytest.raises(OperatorError, match=f"process {os.getpid()} writes it already; stop that one first"):
        opened(tmp_path)
    outbox.close()
    opened(tmp_path).close()


def test_another_devices_outbox_is_refused(tmp_path):
    opened(tmp_path).close()
    with pytest.raises(OperatorError, match="holds the records of device 'cage07'"):
        Outbox.open(tmp_path, SMALL, device_id="cage08", serial="board-1")


def test_a_request_is_offered_once_and_not_again_after_a_crash(tmp_path):
    outbox = opened(tmp_path)
    requests = Requests(tmp_path)
    assert not requests.waiting()
    delivery = PublishFile.open(tmp_path, device_id="cage07")
    delivery.add_request("r1")
    delivery.add_request("r1")
    delivery.add_request("r2")
    assert requests.waiting()
    assert requests.pop_oldest() == "r1"
    outbox.mark_taken("r1")
    assert requests.pop_oldest() == "r2"
    assert requests.pop_oldest() is None
    after_a_crash = Requests(tmp_path)
    assert after_a_crash.pop_oldest() == "r2"
    assert not after_a_crash.waiting()
    delivery.close()
    outbox.close()


def _settle(outbox: Outbox) -> None:
    """Maintain until the check in the background has been looked at."""
    for _ in range(50):
        outbox.maintain()
        time.sleep(0.01)


def test_a_file_that_is_no_database_is_set_aside_and_nothing_stops(tmp_path, reading):
    (tmp_path / "outbox.db").write_bytes(b"not a database" * 1000)
    outbox = opened(tmp_path)
    assert outbox.append_reading(reading()).key[1] >= 1
    outbox.close()
    assert len(list(tmp_path.glob("outbox.db.damaged-*"))) >= 1
    assert events_of(tmp_path)[0].code == "database_set_aside"


def test_a_page_that_rots_is_found_after_the_first_reading_and_the_rest_is_saved(tmp_path, reading):
    outbox = opened(tmp_path)
    for _ in range(60):
        outbox.append_reading(reading(None, detail="x" * 3000))
    epoch = outbox.epoch
    outbox.close()
    with (tmp_path / "outbox.db").open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 8192)
    reader = Reader(tmp_path / "outbox.db")
    assert reader.changed()
    outbox = opened(tmp_path)
    outbox.append_reading(reading())
    _settle(outbox)
    assert outbox.epoch != epoch
    outbox.close()
    assert reader.changed(), "a reader opens the new file"
    reader.close()
    saved = {row.seq for row in rows_of(tmp_path) if row.epoch == epoch}
    assert len(saved) > 40
    missing = RangeSet([(1, 60)])
    lost = {
        seq
        for loss in losses_of(tmp_path)
        for seq in range(loss.first_seq, loss.last_seq + 1)
        if loss.of_epoch == epoch
    }
    assert saved | lost == {seq for first, last in missing for seq in range(first, last + 1)}
    assert not saved & lost
