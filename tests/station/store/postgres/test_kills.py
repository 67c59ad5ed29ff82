"""Whatever ends in the middle of a batch, what was acknowledged is stored, once, and the next try goes on."""

import random
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from edge.contract.ranges import RangeSet
from edge.errors import OperatorError, StorageError
from station.store.message import Arrival
from station.store.postgres.address import Address
from station.store.postgres.place import keep_address
from station.store.store import Store
from tests.harness.mosquitto import Mosquitto
from tests.harness.postgres import Postgres
from tests.harness.relay import Relay, end
from tests.harness.waiting import LIMIT_S, wait_until
from tests.station import samples
from tests.station.running import Device, StationProcess
from tests.station.samples import arrival
from tests.station.store.postgres.lab import Lab, promise


@pytest.fixture
def durable() -> Iterator[Postgres]:
    """A server that syncs what it commits."""
    with Postgres(durable=True) as running:
        yield running


@pytest.fixture
def durable_lab(durable: Postgres, tmp_path: Path) -> Lab:
    return Lab(tmp_path / "lab", durable.new_database(), durability="checked")


def batches(number: int, size: int) -> Iterator[list[Arrival]]:
    """Readings and, among them, what cannot be read and what is lost."""
    for first in range(1, number * size, size):
        batch = [arrival(samples.reading(seq), seq) for seq in range(first, first + size)]
        batch[3] = arrival(b'{"schema":"cageclock/reading/9"}', first + 3)
        batch[5] = arrival(samples.lost(first + 7, first + 7), first + 5, stream="record")
        del batch[7]
        yield batch


def take_in_the_end(store: Store, batch: list[Arrival]) -> int:
    """Take a batch as the running station does: again and again until it is stored; return how often it failed."""
    failed, deadline_s = 0, time.monotonic() + LIMIT_S
    while True:
        try:
            store.take(batch)
            return failed
        except StorageError:
            failed += 1
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


def check_accounts(lab: Lab, store: Store, numbers: int) -> None:
    """Compare promise and rows: accounted for = stored + quarantined + lost, nothing twice; an event stands last."""
    stored = lab.query("SELECT seq FROM main.records WHERE seq <= ?", (numbers,))
    aside = lab.query("SELECT seq FROM quarantine")
    lost = lab.query("SELECT first_seq FROM losses WHERE what = 'record'")
    assert sorted(row[0] for row in stored + aside + lost) == list(range(1, numbers + 1))
    said = promise(store)
    assert said.through == numbers + 1
    assert RangeSet(said.holes) == RangeSet((row[0], row[0]) for row in sorted(lost))
    assert lab.query("SELECT records FROM totals") == [(len(stored) + 1,)]
    of_lost = len(lost)  # each lost range was named by a record that is no reading
    assert lab.query("SELECT count(*) FROM main.readings") == [(len(stored) - of_lost,)]


def kill_session(server: Postgres, after_s: float) -> None:
    """Kill the logger's session after a while, wherever it is; the server ends all others and starts anew."""
    time.sleep(after_s)
    with suppress(psycopg.Error, ProcessLookupError), server.connect() as session:
        row = session.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'cageclock-station' LIMIT 1"
        ).fetchone()
        if row is not None:
            server.kill_session(row[0])


def test_a_killed_session_loses_and_doubles_nothing(durable: Postgres, durable_lab: Lab) -> None:
    chance, failed = random.Random(1), 0
    with durable_lab.store() as store:
        for batch in batches(4, 40):
            killer = threading.Thread(target=kill_session, args=(durable, chance.uniform(0.0, 0.08)))
            killer.start()
            failed += take_in_the_end(store, batch)
            killer.join()
        assert failed > 0
        take_in_the_end(store, [arrival(samples.event(161), 161)])
        check_accounts(durable_lab, store, 160)


def test_a_killed_server_loses_nothing_that_was_acknowledged(durable: Postgres, durable_lab: Lab) -> None:
    chance = random.Random(2)
    with durable_lab.store() as store:
        over = threading.Event()

        def kill_and_start() -> None:
            for _ in range(2):
                time.sleep(chance.uniform(0.1, 0.8))
                durable.kill()
                durable.start()
            over.set()

        killer = threading.Thread(target=kill_and_start)
        killer.start()
        try:
            numbers, failed, made = 0, 0, batches(1000, 40)
            while not over.is_set():
                failed += take_in_the_end(store, next(made))
                numbers += 40
                with suppress(StorageError):  # the server may be away again
                    assert promise(store).through == numbers
        finally:
            killer.join()
        assert failed > 0
        take_in_the_end(store, [arrival(samples.event(numbers + 1), numbers + 1)])
        check_accounts(durable_lab, store, numbers)


class _LosesTheAnswer(Relay):
    """Hands a COMMIT on to the server, and ends the connection before its answer."""

    armed = False

    def pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        while data := source.recv(65536):
            if upward and self.armed and b"COMMIT" in data:
                self.armed = False
                self.cut_answers = True
                sink.sendall(data)
                continue
            if not upward and getattr(self, "cut_answers", False):
                self.cut_answers = False
                end(sink)
                return
            sink.sendall(data)


def test_a_commit_of_which_nothing_is_heard_is_read_again(durable: Postgres, tmp_path: Path) -> None:
    """It took effect: the same messages are known when they are taken again, and promised only then."""
    database = durable.new_database()
    with _LosesTheAnswer(durable.port) as relay:
        lab = Lab(tmp_path / "lab", database.replace(str(durable.port), str(relay.port)))
        direct = Lab(tmp_path / "direct", database)
        messages = [arrival(samples.reading(seq), seq) for seq in range(1, 30)]
        with lab.store() as store:
            store.take(messages[:5])
            relay.armed = True
            with pytest.raises(StorageError):
                store.take(messages[5:])
            wait_until(lambda: direct.query("SELECT count(*) FROM records") == [(29,)])
            deadline_s = time.monotonic() + LIMIT_S
            while True:
                with suppress(StorageError):
                    found = store.take(messages[5:])
                    break
                assert time.monotonic() < deadline_s
            assert (found.stored, found.known) == (0, 24)
            assert promise(store).through == 29


def test_a_second_logger_is_refused_and_the_first_goes_on(postgres_lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other", postgres_lab.url)
    with postgres_lab.store() as store:
        with pytest.raises(StorageError, match="another station logs"):
            Store.open(other.data)
        assert store.take([arrival(samples.event(1), 1)]).stored == 1
    with other.store() as store:
        assert promise(store).through == 1


def test_a_lost_session_is_made_anew_also_while_no_message_comes(server: Postgres, postgres_lab: Lab) -> None:
    with postgres_lab.store() as store:
        store.take([arrival(samples.event(1), 1)])
        for ask in (lambda: promise(store), store.settle_days, store.last_pass_s):
            with server.connect() as session:
                session.execute(
                    "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity "
                    "WHERE application_name = 'cageclock-station'"
                )
            with suppress(StorageError, sqlite3.Error):  # the first one finds out
                ask()
            ask()
        assert promise(store).through == 1
        assert store.take([arrival(samples.event(2), 2)]).stored == 1


@pytest.mark.parametrize(("setting", "value"), [("fsync", "off"), ("synchronous_commit", "off")])
def test_a_server_that_does_not_keep_what_it_commits_is_refused(setting: str, value: str, tmp_path: Path) -> None:
    with Postgres(durable=True, **{setting: value}) as server:
        keep_address(tmp_path / "lab", Address(database=server.new_database()))
        with pytest.raises(OperatorError, match=f"{setting} = off"):
            Store.open(tmp_path / "lab")


@pytest.mark.broker
def test_the_running_station_outlives_its_database_and_acknowledges_only_what_it_holds(
    durable: Postgres, tmp_path: Path
) -> None:
    url = durable.new_database()
    data = tmp_path / "lab"
    with Mosquitto(tmp_path / "broker") as broker, Device(broker.port) as device:
        with StationProcess(data, broker.port, "--database", url) as station:
            wait_until(station.listens)
            device.send(*(arrival(samples.event(seq), seq) for seq in (1, 2)))
            wait_until(lambda: device.through() == 2)
            durable.kill()
            device.send(arrival(samples.event(3), 3))
            station.wait_for("trying again in")
            assert device.through() == 2
            durable.start()
            wait_until(lambda: device.through() == 3)
            assert station.stop() == 0
    assert Lab(data, None).query("SELECT count(*) FROM records") == [(3,)]
