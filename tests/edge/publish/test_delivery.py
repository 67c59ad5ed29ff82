"""Every record reaches the station and only its word releases it, whatever is killed or restored in between."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

import pytest

from edge.config import tree
from edge.contract import identity, jsontext
from edge.contract.committed import Committed, CommittedEpoch
from edge.contract.ranges import RangeSet
from edge.contract.record import Lost
from edge.outbox import Outbox
from edge.outbox.watermarks import Released, read_released
from tests.edge.outbox.conftest import make_reading
from tests.edge.publish import lab
from tests.edge.publish.lab import ROOT, Logger, Publish
from tests.harness.waiting import wait_until

pytestmark = pytest.mark.broker


def test_every_reading_and_picture_arrives_and_is_released_by_the_stations_word(tmp_path, broker, outbox, logger):
    for _ in range(5):
        epoch, _ = outbox.append_reading(make_reading()).key
    with Publish(tmp_path, broker.port) as publish:
        wait_until(lambda: set(logger.seqs()) == {1, 2, 3, 4, 5})
        outbox.append_reading(make_reading())
        wait_until(lambda: set(logger.seqs()) == set(range(1, 7)))
        wait_until(lambda: logger.pictures.get(epoch, RangeSet()).count() == 6)

        def released():
            found = read_released(publish.state_dir / "delivery.db").get(epoch)
            return found and found.records.highest == 6 and found.thumbnails.highest == 6 and found

        assert wait_until(released).records.count() == 6
        heads = {identity.split(payload)[0].seq: identity.split(payload)[0] for payload in logger.of("reading")}
        assert [heads[seq].replayed for seq in range(1, 7)] == [True] * 4 + [False] * 2
        assert {head.first_held for head in heads.values()} == {1}
        latest = [identity.split(payload)[0].seq for payload in logger.of("latest")]
        assert latest == [5, 6], "a replay never touches the newest"
        body = identity.split(logger.of("reading")[-1])[1]
        assert identity.digest(body) in {row[0] for row in _digests(publish.state_dir)}
        assert publish.stop() == 0
    wait_until(lambda: logger.of("availability")[-1] == b"offline")
    assert logger.of("availability")[-2] == b"online"


def _digests(state_dir):
    import sqlite3

    connection = sqlite3.connect(state_dir / "outbox.db")
    try:
        return connection.execute("SELECT digest FROM records").fetchall()
    finally:
        connection.close()


def test_what_only_the_broker_acknowledged_is_sent_again_until_the_station_has_it(tmp_path, broker, outbox):
    deaf = Logger(broker.port, commits=False)
    outbox.append_reading(make_reading(None))
    with Publish(tmp_path, broker.port):
        wait_until(lambda: len(deaf.seqs()) >= 3)
        deaf.commits = True
        deaf.commit()
        wait_until(lambda: read_released(tmp_path / "state" / "delivery.db").get(outbox.epoch))
        count = len(deaf.seqs())
        time.sleep(3)
        assert len(deaf.seqs()) == count
    deaf.close()


class Frugal(Logger):
    """A logger that does what the document asks and no more: it reads no `info`, and names one epoch at a time."""

    def _take(self, client, data, message) -> None:
        super()._take(client, data, message)
        name = message.topic.removeprefix(f"{ROOT}/")
        if name not in ("reading", "record"):
            return
        epoch = identity.split(bytes(message.payload))[0].epoch
        through, holes = self.records.get(epoch, RangeSet()).watermark()
        said = CommittedEpoch(epoch=epoch, through=through, holes=holes, thumbnails_through=through)
        payload = jsontext.encode(Committed(station_db=self.station_db, epochs=(said,)))
        client.publish(f"{ROOT}/committed/{lab.STATION}", payload, 1, True)


def test_a_logger_that_reads_no_info_and_names_one_epoch_at_a_time_has_a_hundred_starts_released(tmp_path, broker):
    """More epochs than `info` ever names, and than one answer holds."""
    given, state = set(), tmp_path / "state"
    state.mkdir()
    for _ in range(100):
        opened = Outbox.open(state, tree.Outbox(reserve_mb=0, min_free_mb=0), device_id=lab.DEVICE, serial="s")
        given.add(opened.append_reading(make_reading(None)).key)
        opened.close()
    logger = Frugal(broker.port, commits=False)
    with Publish(tmp_path, broker.port):
        wait_until(lambda: given <= _released(tmp_path))
    heads = [identity.split(payload)[0] for payload in logger.of("reading")]
    assert {(head.epoch, head.seq) for head in heads} == given
    logger.close()


def _released(folder) -> set[tuple[str, int]]:
    """Return the numbers that publish has written down as released, records and pictures."""
    found = read_released(folder / "state" / "delivery.db")
    return {
        (epoch, seq)
        for epoch, of in found.items()
        for first, last in of.records
        for seq in range(first, last + 1)
        if seq in of.thumbnails
    }


def test_in_flight_is_bounded_without_a_station_and_the_newest_reading_passes(tmp_path, broker, outbox):
    deaf = Logger(broker.port, commits=False, online=False)
    for _ in range(30):
        outbox.append_reading(make_reading(None))
    with Publish(tmp_path, broker.port, in_flight=10):
        wait_until(lambda: len(deaf.seqs()) >= 11)
        outbox.append_reading(make_reading(None))
        wait_until(lambda: 31 in deaf.seqs())
        time.sleep(1.5)
        assert sorted(deaf.seqs()) == [*range(1, 11), 30, 31]
    deaf.close()


def test_another_station_database_reopens_the_ring(tmp_path, broker, outbox, logger):
    for _ in range(4):
        outbox.append_reading(make_reading(None))
    with Publish(tmp_path, broker.port):
        wait_until(lambda: set(logger.seqs()) == {1, 2, 3, 4})
        wait_until(lambda: _released_last(tmp_path, outbox.epoch) == 4)
        logger.commits, logger.station_db, logger.records = False, "db-2", {}
        before = len(logger.seqs())
        logger.commit()
        wait_until(lambda: sorted(set(logger.seqs()[before:])) == [1, 2, 3, 4])
        again = [identity.split(payload)[0] for payload in logger.of("reading")[before:]]
        assert all(head.replayed for head in again)


def _released_last(folder, epoch: str) -> int:
    """Return the highest number of an epoch that publish has written down as released."""
    found = read_released(folder / "state" / "delivery.db").get(epoch)
    return 0 if found is None else found.records.highest


def test_broker_and_publish_killed_in_turn_lose_nothing(tmp_path, broker, outbox, logger):
    with Publish(tmp_path, broker.port) as publish:
        for number in range(6):
            for _ in range(20):
                outbox.append_reading(make_reading(None))
            if number % 2:
                publish.kill()
                publish.start()
            else:
                broker.kill()
                broker.start()
            time.sleep(0.5)
        # The broker forgot the logger's subscription and the retained words: it logs in anew, as a station does.
        again = Logger(broker.port)
        again.records, again.pictures = logger.records, logger.pictures
        again.commit()
        wait_until(lambda: again.records.get(outbox.epoch, RangeSet()).count() == 120)
        again.close()


def test_without_a_station_the_brokers_success_releases_but_no_matching_subscribers_does_not(tmp_path, broker, outbox):
    epoch, _ = outbox.append_reading(make_reading(None)).key
    with Publish(tmp_path, broker.port, station=None) as publish:
        wait_until(lambda: "connected" in publish.log())
        time.sleep(7)
        assert epoch not in read_released(publish.state_dir / "delivery.db")
        listener = Logger(broker.port, commits=False, online=False)
        wait_until(lambda: listener.seqs())
        wait_until(lambda: read_released(publish.state_dir / "delivery.db").get(epoch))
        listener.close()


def test_a_thumbnail_whose_file_is_gone_is_named_lost_once_and_holds_nothing_up(tmp_path, broker, outbox, logger):
    """The station keeps it among the holes, for another copy of the card may have it; here it can never be sent."""
    outbox.append_reading(make_reading())
    outbox.append_reading(make_reading())
    with closing(sqlite3.connect(tmp_path / "state" / "outbox.db")) as connection:
        ((picture,),) = connection.execute("SELECT thumbnail FROM records WHERE seq = 1").fetchall()
    (tmp_path / "state" / "thumbnails" / f"{picture}.jpg").unlink()
    path = tmp_path / "state" / "delivery.db"
    for folder in (tmp_path, tmp_path / "again"):
        with Publish(folder, broker.port, state_dir=tmp_path / "state") as publish:
            wait_until(lambda publish=publish: "publish is running" in publish.log())
            wait_until(lambda: len(logger.of("thumbnail")) >= 1 and logger.of("record"))
            wait_until(lambda: list(read_released(path).get(outbox.epoch, Released()).thumbnails) == [(1, 2)])
            assert publish.stop() == 0
    bodies = [identity.split(payload)[1] for payload in logger.of("record")]
    lost = [jsontext.decode(body, Lost) for body in bodies if b"cageclock/lost" in body]
    assert {(of.what, of.of_epoch, of.first_seq, of.last_seq) for of in lost} == {("thumbnail", outbox.epoch, 1, 1)}
