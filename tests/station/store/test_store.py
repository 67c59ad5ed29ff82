"""The store keeps every record once, accounts for every number, and loses nothing that it said it had."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.contract import identity, jsontext
from edge.contract.committed import CommittedEpoch
from edge.errors import DatabaseDamaged, OperatorError, StorageError
from station.store.body import unpack_body
from station.store.message import Arrival
from station.store.store import Store
from station.store.tables import VERSION
from tests.station import samples
from tests.station.samples import EPOCH, arrival, picture_arrival


@pytest.fixture
def store(tmp_path: Path):
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def query(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return connection.execute(sql).fetchall()


def promise(store: Store, epoch: str = EPOCH) -> CommittedEpoch:
    return next(found for found in store.committed("cage-1").epochs if found.epoch == epoch)


def test_a_record_is_stored_once_with_the_digest_of_its_exact_bytes(store: Store, tmp_path: Path) -> None:
    message = arrival(samples.reading(1), 1)
    assert store.take([message]).stored == 1
    again = store.take([message, message])
    assert (again.stored, again.known, again.conflicts) == (0, 2, 0)
    [(seq, digest, body)] = query(tmp_path, "SELECT seq, digest, body FROM records")
    assert (seq, unpack_body(body)) == (1, jsontext.encode(samples.reading(1)))
    assert digest == identity.digest(unpack_body(body))


def test_another_content_under_the_same_key_is_a_conflict_kept_and_alarmed(store: Store, tmp_path: Path) -> None:
    store.take([arrival(samples.reading(1, age_days=100), 1)])
    found = store.take([arrival(samples.reading(1, age_days=300), 1)])
    assert found.conflicts == 1
    assert "CONFLICT cage-1" in found.alarms[0]
    [(body,)] = query(tmp_path, "SELECT body FROM records")
    assert b'"age_days":100' in unpack_body(body)
    [(other, times)] = query(tmp_path, "SELECT content, times FROM conflicts")
    assert b'"age_days":300' in other
    assert times == 1


def test_the_head_may_differ_between_two_sendings_of_one_record(store: Store) -> None:
    store.take([arrival(samples.reading(5), 5, first_held=1)])
    again = store.take([arrival(samples.reading(5), 5, first_held=4, replayed=True)])
    assert (again.known, again.conflicts) == (1, 0)


def test_a_record_without_picture_accounts_for_its_thumbnail_too(store: Store) -> None:
    jpeg = samples.picture(2)
    store.take([arrival(samples.event(1), 1), arrival(samples.reading(2, thumbnail=jpeg), 2)])
    assert (promise(store).through, promise(store).thumbnails_through) == (2, 1)
    store.take([picture_arrival(jpeg)])
    assert promise(store).thumbnails_through == 2


def test_numbers_below_first_held_that_never_came_are_recorded_as_lost(store: Store, tmp_path: Path) -> None:
    store.take([arrival(samples.event(2), 2)])
    found = store.take([arrival(samples.event(9), 9, first_held=7)])
    assert promise(store).through == 9
    assert promise(store).holes == ((1, 1), (3, 8))
    assert query(tmp_path, "SELECT first_seq, last_seq FROM losses WHERE what = 'record'") == [(1, 1), (3, 6)]
    assert "LOST" in found.alarms[0]


def test_a_first_held_beyond_its_own_record_claims_nothing(store: Store) -> None:
    store.take([arrival(samples.event(3), 3, first_held=2**53 - 1)])
    assert promise(store).through == 3


def test_a_lost_record_accounts_for_its_range_also_of_an_older_epoch(store: Store) -> None:
    other = "f" * 32
    store.take([arrival(samples.lost(1, 40, of_epoch=other), 1)])
    assert (promise(store, other).through, promise(store, other).holes) == (40, ((1, 40),))
    assert (promise(store, other).thumbnails_through, promise(store, other).thumbnail_holes) == (40, ((1, 40),))


def test_a_loss_of_thumbnails_leaves_the_records_expected(store: Store) -> None:
    other = "f" * 32
    store.take([arrival(samples.lost(1, 40, what="thumbnail", of_epoch=other), 1)])
    assert (promise(store, other).through, promise(store, other).thumbnails_through) == (0, 40)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"schema":"cageclock/reading/9","device_id":"cage-1"}', "cageclock/reading/9"),
        (b'{"schema":"cageclock/reading/1","device_id":"cage-1"}', "missing required field"),
        (b'{"schema":"cageclock/event/1","device_id":"cage-1"}', "expected a schema of the reading topic"),
        (b'{"schema":"cageclock/reading/1","x":NaN}', "finite"),
        (b'{"schema":"cageclock/reading/1","schema":"x"}', "twice"),
        (b'{"schema":"\xff"}', "UTF-8"),
        (b'{"schema":{"a":1}}', "schema"),
        (b'{"x', "JSON"),
        (b"{" + b'"a":{' * 5000, "nested"),
    ],
)
def test_what_cannot_be_read_is_quarantined_and_accounted_for(
    store: Store, tmp_path: Path, body: bytes, why: str
) -> None:
    found = store.take([arrival(body, 1), arrival(samples.event(2), 2)])
    assert (found.quarantined, found.stored) == (1, 1)
    assert (promise(store).through, promise(store).thumbnails_through) == (2, 2)
    [(reason, content)] = query(tmp_path, "SELECT reason, content FROM quarantine")
    assert why in reason
    assert content.endswith(body[1:])


def test_a_quarantined_reading_that_names_a_picture_still_awaits_it(store: Store) -> None:
    store.take([arrival(b'{"schema":"cageclock/reading/9","thumbnail":{"sha256":"x"}}', 1)])
    assert (promise(store).through, promise(store).thumbnails_through) == (1, 0)
    store.take([picture_arrival(samples.picture(1))])
    assert promise(store).thumbnails_through == 1


def test_a_message_without_identity_is_quarantined_once_and_accounts_for_nothing(store: Store, tmp_path: Path) -> None:
    for _ in range(3):
        store.take([Arrival("cage-1", "reading", b"hello", 1.0)])
    assert query(tmp_path, "SELECT times, epoch, seq FROM quarantine") == [(3, "", 0)]
    assert store.devices() == []


def test_a_payload_that_claims_another_device_is_quarantined_and_accounted_for(store: Store, tmp_path: Path) -> None:
    found = store.take([arrival(samples.reading(1, device="cage-2"), 1, device="cage-1")])
    assert found.quarantined == 1
    assert promise(store).through == 1
    assert query(tmp_path, "SELECT count(*) FROM records") == [(0,)]


def test_an_oversized_message_is_noted_and_not_released_on_the_device(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path, max_payload_bytes=500)) as store:
        found = store.take([arrival(samples.reading(1), 1)])
        assert "max_payload_kb" in found.alarms[0]
        assert store.devices() == []


def test_a_record_read_by_a_newer_station_leaves_the_quarantine_behind(store: Store, tmp_path: Path) -> None:
    store.take([arrival(b'{"schema":"cageclock/reading/9"}', 1)])
    store.take([arrival(samples.reading(1), 1)])
    assert query(tmp_path, "SELECT count(*) FROM records") == [(1,)]


def test_a_picture_is_kept_as_a_file_under_its_device_and_month(store: Store, tmp_path: Path) -> None:
    jpeg = samples.picture(3)
    store.take([arrival(samples.reading(3, thumbnail=jpeg), 3), picture_arrival(jpeg)])
    [(path,)] = query(tmp_path, "SELECT path FROM thumbnails")
    assert path == f"thumbnails/cage-1/2026-01/{EPOCH[:8]}-3.jpg"
    assert (tmp_path / path).read_bytes() == jpeg


def test_user_properties_name_a_picture_without_exif(store: Store, tmp_path: Path) -> None:
    import io

    from PIL import Image

    target = io.BytesIO()
    Image.new("L", (8, 8)).save(target, "JPEG")
    store.take([picture_arrival(target.getvalue(), properties=(("epoch", EPOCH), ("seq", "7")))])
    assert query(tmp_path, "SELECT epoch, seq FROM thumbnails") == [(EPOCH, 7)]


@pytest.mark.parametrize("picture_first", [True, False])
def test_a_picture_that_its_reading_does_not_describe_is_quarantined_in_either_order(
    store: Store, tmp_path: Path, picture_first: bool
) -> None:
    right, wrong = samples.picture(1), samples.picture(1, shade=200)
    messages = [arrival(samples.reading(1, thumbnail=right), 1), picture_arrival(wrong)]
    store.take(messages[::-1] if picture_first else messages)
    assert query(tmp_path, "SELECT count(*) FROM thumbnails") == [(0,)]
    assert query(tmp_path, "SELECT content FROM quarantine") == [(wrong,)]
    store.take([picture_arrival(right)])
    [(path,)] = query(tmp_path, "SELECT path FROM thumbnails")
    assert (tmp_path / path).read_bytes() == right


def test_the_right_picture_behind_a_wrong_one_is_found_when_the_reading_comes(store: Store, tmp_path: Path) -> None:
    right, wrong = samples.picture(1), samples.picture(1, shade=200)
    store.take([picture_arrival(wrong), picture_arrival(right)])
    store.take([arrival(samples.reading(1, thumbnail=right), 1)])
    [(path,)] = query(tmp_path, "SELECT path FROM thumbnails")
    assert (tmp_path / path).read_bytes() == right
    assert query(tmp_path, "SELECT count(*) FROM conflicts") == [(0,)]


@pytest.mark.parametrize(
    ("jpeg", "properties", "why"),
    [
        (b"no picture", (("epoch", EPOCH), ("seq", "1")), "JPEG"),
        (b"\xff\xd8\xff rubbish", (("epoch", EPOCH), ("seq", "1")), "JPEG"),
        (samples.picture(1), (("epoch", EPOCH), ("seq", "2")), "the EXIF says"),
        (samples.picture(1), (("epoch", "x"), ("seq", "1")), "32 hex digits"),
        (samples.picture(1, device="cage-2"), (), "cage-2"),
    ],
)
def test_a_picture_that_cannot_be_believed_is_quarantined(
    store: Store, tmp_path: Path, jpeg: bytes, properties: tuple[tuple[str, str], ...], why: str
) -> None:
    assert store.take([picture_arrival(jpeg, properties=properties)]).quarantined == 1
    [(reason,)] = query(tmp_path, "SELECT reason FROM quarantine")
    assert why in reason


def test_an_unsynchronised_label_is_corrected_when_it_is_read_and_the_record_stays(
    store: Store, tmp_path: Path
) -> None:
    store.take([arrival(samples.reading(1, synced=False), 1), arrival(samples.reading(2), 2)])
    assert query(tmp_path, "SELECT time_basis FROM timed_readings ORDER BY seq") == [
        ("unsynchronised",),
        ("synchronised",),
    ]
    before = query(tmp_path, "SELECT body FROM records WHERE seq = 1")
    store.take([arrival(samples.correction("boot-1", 1.7e9, 5.0), 3), arrival(samples.correction("boot-1", 1.8e9), 4)])
    [(at_s, basis)] = query(tmp_path, "SELECT at_s, time_basis FROM timed_readings WHERE seq = 1")
    assert (at_s, basis) == (1.8e9 + 1001.0, "corrected")
    assert query(tmp_path, "SELECT body FROM records WHERE seq = 1") == before


def test_a_batch_is_taken_whole_or_not_at_all(store: Store, tmp_path: Path) -> None:
    store.take([arrival(samples.event(1), 1)])
    (tmp_path / "thumbnails").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="could not store 2 messages"):
        store.take([arrival(samples.event(2), 2), picture_arrival(samples.picture(3))])
    assert promise(store).through == 1
    assert query(tmp_path, "SELECT seq FROM records") == [(1,)]
    (tmp_path / "thumbnails").unlink()
    store.take([arrival(samples.event(2), 2), picture_arrival(samples.picture(3))])
    assert promise(store).through == 2


def test_the_promise_survives_a_restart_and_a_new_database_has_a_new_name(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path / "a")) as store:
        store.take([arrival(samples.event(seq), seq) for seq in (1, 2, 5)])
        before = store.committed("cage-1")
    with closing(Store.open(tmp_path / "a")) as store:
        assert store.committed("cage-1") == before
    with closing(Store.open(tmp_path / "b")) as other:
        assert other.station_db != before.station_db


def test_a_second_station_in_the_same_folder_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="another cageclock-station run"):
        Store.open(tmp_path)


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "station.db").write_bytes(b"rubbish" * 1000)
    with pytest.raises(DatabaseDamaged, match="move it aside"):
        Store.open(tmp_path)
    assert (tmp_path / "station.db").read_bytes() == b"rubbish" * 1000


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(OperatorError, match=f"expected version {VERSION}, got 99"):
        Store.open(tmp_path)


def _all_messages() -> list[Arrival]:
    """A device's whole life: readings with and without picture, an event, a loss, a poison message."""
    jpegs = {seq: samples.picture(seq) for seq in (1, 4, 7)}
    messages = [arrival(samples.reading(seq, thumbnail=jpegs.get(seq)), seq) for seq in (1, 2, 4, 7, 8)]
    messages += [arrival(samples.event(3), 3), arrival(samples.lost(5, 6), 9)]
    messages += [arrival(b'{"schema":"cageclock/reading/9"}', 10)]
    messages += [picture_arrival(jpeg) for jpeg in jpegs.values()]
    return messages


MESSAGES = _all_messages()


def _state(data: Path) -> dict[str, Any]:
    tables = {
        "records": "device, epoch, seq, digest, body",
        "thumbnails": "device, epoch, seq, sha256, path",
        "accounts": "device, epoch, records, thumbnails, lost, lost_thumbnails",
        "quarantine": "device, epoch, seq, digest",
        "conflicts": "device, epoch, seq, digest",
        "losses": "device, epoch, first_seq, last_seq, what",
        "readings": "*",
        "animals": "*",
    }
    return {name: sorted(query(data, f"SELECT {columns} FROM {name}")) for name, columns in tables.items()}


@pytest.fixture(scope="module")
def expected_state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    data = tmp_path_factory.mktemp("straight")
    with closing(Store.open(data)) as store:
        store.take(MESSAGES)
    return _state(data)


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.lists(st.sampled_from(range(len(MESSAGES))), max_size=8), max_size=6),
    last=st.permutations(range(len(MESSAGES))),
)
def test_any_order_doubling_and_loss_followed_by_a_resend_ends_in_the_same_state(
    expected_state: dict[str, Any], batches: list[list[int]], last: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with closing(Store.open(Path(folder))) as store:
            for batch in batches:
                store.take([MESSAGES[index] for index in batch])
            for index in last:
                store.take([MESSAGES[index]])
            assert (promise(store).through, promise(store).holes) == (10, ((5, 6),))
            assert (promise(store).thumbnails_through, promise(store).thumbnail_holes) == (10, ((5, 6),))
        assert _state(Path(folder)) == expected_state


@settings(max_examples=40, deadline=None)
@given(indices=st.lists(st.sampled_from(range(len(MESSAGES))), max_size=12))
def test_the_promise_never_claims_what_is_not_in_the_database(indices: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Store.open(Path(folder))) as store:
        store.take([MESSAGES[index] for index in indices])
        if store.devices():
            found = promise(store)
            holes = {seq for first, last in found.holes for seq in range(first, last + 1)}
            claimed = set(range(1, found.through + 1)) - holes
            stored = {seq for (seq,) in query(Path(folder), "SELECT seq FROM records UNION SELECT seq FROM quarantine")}
            assert claimed == stored
