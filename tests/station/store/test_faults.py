"""Whatever is raised at whatever line: nothing is promised that is not durable, and nothing is lost."""

import errno
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge.contract.ranges import RangeSet
from edge.errors import MessageError, StorageError
from station.store import rows
from station.store.body import unpack_body
from station.store.ledger import Ledger
from station.store.message import Arrival
from station.store.quarantine import Aside
from station.store.store import Store
from tests.campaigns.campaign import quick_folder
from tests.station import samples
from tests.station.samples import arrival, picture_arrival
from tests.station.store.faults import Place, fault_at, lines_of

ALL = os.environ.get("CAGECLOCK_ALL_FAULTS") == "1"
"""Every class at every line, once and always: ten minutes. Else each line gets some, and each class many lines."""
PER_LINE = 1
OF_THE_MESSAGE: list[Callable[[], BaseException]] = [
    lambda: ValueError("fault"),
    lambda: KeyError("fault"),
    lambda: OverflowError("fault"),
    lambda: RecursionError("fault"),
    lambda: UnicodeEncodeError("utf-8", "\ud800", 0, 1, "fault"),
    lambda: StopIteration(),
    lambda: AssertionError("fault"),
    lambda: MessageError("fault \ud800 \x1b[2J"),
    lambda: sqlite3.IntegrityError("fault"),
    lambda: sqlite3.DataError("fault"),
    lambda: sqlite3.InterfaceError("fault"),
    lambda: sqlite3.ProgrammingError("fault"),
]
OF_THE_STATION: list[Callable[[], BaseException]] = [
    lambda: OSError(errno.ENOSPC, "No space left on device"),
    lambda: ConnectionResetError("fault"),
    lambda: MemoryError(),
    lambda: sqlite3.OperationalError("database is locked"),
    lambda: sqlite3.DatabaseError("fault"),
    lambda: KeyboardInterrupt(),
    lambda: SystemExit(1),
]
CLASSES = [*OF_THE_MESSAGE, *OF_THE_STATION]


def first_line(function: Callable[..., object]) -> Place:
    """Return where the function's first statement stands, behind its docstring."""
    code = function.__code__  # type: ignore[attr-defined]
    lines = [line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno]
    return code.co_filename, min(lines)


READING_ROW = first_line(rows.reading_row)


def life(epoch: str) -> list[Arrival]:
    """One of everything: stored, lost, poison, conflict, and pictures right, wrong, early, late and doubled."""
    pictures = {seq: samples.picture(seq, epoch) for seq in (1, 6, 7)}
    wrong = samples.picture(6, epoch, shade=200)
    other = hashlib.md5(epoch.encode()).hexdigest()
    return [
        Arrival("cage-1", "info", b"{}", 1.8e9),
        arrival(samples.reading(1, thumbnail=pictures[1]), 1, epoch=epoch),
        picture_arrival(pictures[1], properties=(("epoch", epoch), ("seq", "1"))),
        arrival(samples.event(3), 3, epoch=epoch, first_held=3),
        arrival(samples.lost(1, 2**40, of_epoch=other), 4, epoch=epoch),
        arrival(b'{"schema":"cageclock/reading/9"}', 5, epoch=epoch),
        arrival(samples.event(3, text="another"), 3, epoch=epoch),
        picture_arrival(wrong),
        picture_arrival(pictures[6]),
        arrival(samples.reading(6, thumbnail=pictures[6]), 6, epoch=epoch),
        picture_arrival(pictures[7]),
        arrival(samples.correction("boot-1", 1.7e9), 8, epoch=epoch),
        Arrival("cage-1", "reading", b"no identity " + epoch.encode(), 1.8e9),
    ]


def durable(data: Path) -> dict[str, tuple[RangeSet, RangeSet]]:
    """Epoch -> the numbers of records, and of thumbnails, that a second reader of the database finds accounted for."""
    found: dict[str, tuple[RangeSet, RangeSet]] = {}
    with closing(sqlite3.connect(data / "station.db")) as connection:
        for epoch, seq, body in connection.execute("SELECT epoch, seq, body FROM records"):
            records, thumbnails = found.setdefault(epoch, (RangeSet(), RangeSet()))
            records.add(seq)
            if not json.loads(unpack_body(body)).get("thumbnail"):
                thumbnails.add(seq)
        for epoch, seq, stream, content in connection.execute(
            "SELECT epoch, seq, stream, content FROM quarantine WHERE seq > 0"
        ):
            records, thumbnails = found.setdefault(epoch, (RangeSet(), RangeSet()))
            if not content.startswith(b"\xff\xd8"):
                records.add(seq)
            if stream == "unknown" or b'"thumbnail":{' not in content:
                thumbnails.add(seq)
        for epoch, seq in connection.execute("SELECT epoch, seq FROM thumbnails"):
            found.setdefault(epoch, (RangeSet(), RangeSet()))[1].add(seq)
    return found  # without what is lost: that stands among the holes


def promised(store: Store) -> dict[str, tuple[RangeSet, RangeSet]]:
    return {
        of.epoch: (
            RangeSet.from_watermark(of.through, of.holes),
            RangeSet.from_watermark(of.thumbnails_through, of.thumbnail_holes),
        )
        for of in store.committed("cage-1").epochs
    }


def unkept(data: Path, messages: list[Arrival]) -> list[str]:
    """Return the messages of which neither the content nor the news of it is in the database."""
    with closing(sqlite3.connect(data / "station.db")) as connection:
        kept = {unpack_body(body) for (body,) in connection.execute("SELECT body FROM records")}
        kept |= {content for (content,) in connection.execute("SELECT content FROM conflicts")}
        kept |= {content for (content,) in connection.execute("SELECT content FROM quarantine")}
        kept |= {body for (body,) in connection.execute("SELECT body FROM device_state")}
    # A picture that its reading does not describe, and that cannot be read just then, loses its row and keeps its file.
    kept |= {path.read_bytes() for path in (data / "thumbnails").rglob("*.jpg")}
    return [
        f"{message.stream} {message.payload[:60]!r}"
        for message in messages
        if message.payload not in kept and b"{" + message.payload.partition(b'replayed":false,')[2] not in kept
    ]


def check_promise(store: Store, data: Path, context: str) -> None:
    held = durable(data)
    for epoch, (records, thumbnails) in promised(store).items():
        for numbers, there in zip((records, thumbnails), held.get(epoch, (RangeSet(), RangeSet())), strict=True):
            beyond = [span for first, last in numbers for span in there.missing(first, last)]
            assert not beyond, f"{context}: {beyond} of {epoch[:8]} promised, not durable"


def places() -> list[Place]:
    with quick_folder() as data, closing(Store.open(data)) as store:

        def work() -> None:
            store.take(life("0" * 32))
            store.take(life("0" * 32))
            store.committed("cage-1")

        return lines_of(work)


def try_fault(store: Store, data: Path, place: Place, make: Callable[[], BaseException], always: bool, n: int) -> None:
    messages = life(hashlib.md5(f"{place}{n}".encode()).hexdigest())
    context = f"{Path(place[0]).name}:{place[1]} {make()!r} {'always' if always else 'once'}"
    try:
        with fault_at(place, make, always=always):
            store.take(messages)
            refused = store.take(messages).refused
    except (Exception, KeyboardInterrupt, SystemExit):  # noqa: BLE001 - then nothing is acknowledged
        pass
    else:
        # A picture whose folder cannot be written is accounted for nowhere: its device keeps it.
        assert len(unkept(data, messages)) <= refused, f"{context}: acknowledged"
    check_promise(store, data, context)
    store.take(messages)
    assert not unkept(data, messages), f"{context}: afterwards"
    held = durable(data)
    nothing = (RangeSet(), RangeSet())
    assert {epoch: held.get(epoch, nothing) for epoch in promised(store)} == promised(store), context


@pytest.mark.slow
@pytest.mark.timeout(3600 if ALL else 600)
def test_no_exception_at_any_line_makes_a_promise_false_or_loses_a_message() -> None:
    number = 0
    for place in places():
        with quick_folder() as data, closing(Store.open(data)) as store:
            chosen = [(make, always) for make in CLASSES for always in (False, True)]
            if not ALL:
                chosen = [chosen[(number + step * 11) % len(chosen)] for step in range(PER_LINE)]
            for make, always in chosen:
                number += 1
                try_fault(store, data, place, make, always, number)
                if number % 6 == 5:  # `committed` names sixteen epochs
                    store.close()
                    (data / "station.db").unlink()
                    store = Store.open(data)
            store.close()
    assert number > 400
    print(f"\n{number} faults")


@pytest.mark.parametrize("make", OF_THE_MESSAGE)
def test_a_message_that_fails_once_is_taken_and_one_that_fails_again_is_set_aside(
    tmp_path: Path, make: Callable[[], BaseException]
) -> None:
    before, message, after = (arrival(samples.reading(seq), seq) for seq in (1, 2, 3))
    with closing(Store.open(tmp_path)) as store:
        with fault_at(READING_ROW, make, always=False) as raised:
            taken = store.take([before])
        assert (len(raised), taken.stored, taken.quarantined) == (1, 1, 0)
        with fault_at(READING_ROW, make, always=True) as raised:
            taken = store.take([message, arrival(samples.event(4), 4)])
        assert (len(raised), taken.stored, taken.quarantined) == (3, 1, 1)  # together, one by one, alone
        assert type(make()).__name__ in taken.alarms[0]
        store.take([after])
        assert promised(store)[samples.EPOCH][0] == RangeSet([(1, 4)])
        with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
            assert connection.execute("SELECT seq, content FROM quarantine").fetchall() == [(2, message.payload)]
            assert connection.execute("SELECT seq FROM records ORDER BY seq").fetchall() == [(1,), (3,), (4,)]


@pytest.mark.parametrize("make", OF_THE_STATION)
def test_what_is_wrong_with_the_machine_is_no_messages_fault(tmp_path: Path, make: Callable[[], BaseException]) -> None:
    messages = [arrival(samples.event(1), 1), arrival(samples.reading(2), 2)]
    with closing(Store.open(tmp_path)) as store:
        for _ in range(3):
            with pytest.raises((StorageError, KeyboardInterrupt, SystemExit)):
                with fault_at(READING_ROW, make, always=True):
                    store.take(messages)
            assert durable(tmp_path) == promised(store) == {}
        assert store.take(messages).stored == 2
        assert promised(store)[samples.EPOCH][0] == RangeSet([(1, 2)])


@pytest.mark.parametrize("make", OF_THE_MESSAGE)
def test_a_message_that_cannot_even_be_set_aside_leaves_its_trace(
    tmp_path: Path, make: Callable[[], BaseException]
) -> None:
    poison = arrival(b'{"schema":"cageclock/reading/9"}', 2)
    with closing(Store.open(tmp_path)) as store:
        with fault_at(first_line(Aside.keep_unreadable), make, always=True) as raised:
            taken = store.take([poison, arrival(samples.event(1), 1)])
        assert (len(raised), taken.stored, taken.quarantined) == (4, 1, 1)  # and once more to set it aside
        assert promised(store)[samples.EPOCH] == (RangeSet([(1, 2)]), RangeSet([(1, 2)]))
        with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
            assert connection.execute("SELECT stream, content FROM quarantine").fetchall() == [
                ("unknown", poison.payload)
            ]


def test_what_cannot_be_written_at_all_is_not_acknowledged(tmp_path: Path) -> None:
    poison = arrival(b'{"schema":"cageclock/reading/9"}', 2)
    with closing(Store.open(tmp_path)) as store:
        with fault_at(first_line(Aside._insert), lambda: ValueError("fault"), always=True) as raised:
            with pytest.raises(StorageError, match="cannot even be set aside"):
                store.take([poison])
        assert len(raised) == 4
        assert store.devices() == []
        assert store.take([poison]).quarantined == 1


def test_a_picture_of_a_message_that_is_taken_back_is_removed(tmp_path: Path) -> None:
    kept = first_line(Ledger.check_message)
    jpeg = samples.picture(1)
    with closing(Store.open(tmp_path)) as store:
        with fault_at(kept, lambda: OSError(errno.EIO, "fault"), always=True) as raised:
            with pytest.raises(StorageError):
                store.take([picture_arrival(jpeg)])
        assert raised
        assert not [path for path in (tmp_path / "thumbnails").rglob("*") if path.is_file()]
        assert store.take([picture_arrival(jpeg)]).stored == 1
        with fault_at(kept, lambda: OSError(errno.EIO, "fault"), always=True):
            with pytest.raises(StorageError):
                store.take([picture_arrival(samples.picture(1)), picture_arrival(samples.picture(2))])
        [path] = [path for path in (tmp_path / "thumbnails").rglob("*") if path.is_file()]
        assert path.read_bytes() == jpeg
