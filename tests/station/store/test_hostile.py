"""One message costs itself: what ended the log before is set aside, and those beside it are stored."""

import io
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edge.contract import jsontext
from edge.contract.base import MAX_RECORD_BYTES
from edge.contract.ranges import RangeSet
from station.store.message import Arrival
from station.store.quota import Limits, describe_quotas
from station.store.store import Store
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


def records(store: Store, epoch: str = EPOCH, device: str = "cage-1") -> RangeSet:
    of = next((found for found in store.committed(device).epochs if found.epoch == epoch), None)
    return RangeSet() if of is None else RangeSet.from_watermark(of.through, of.holes)


def spoilt(old: bytes, new: bytes, content: Any = None) -> bytes:
    body = jsontext.encode(samples.reading(1) if content is None else content)
    assert old in body
    return body.replace(old, new, 1)


def bare_picture(description: bytes | None = None) -> bytes:
    target = io.BytesIO()
    exif = Image.Exif()
    if description is not None:
        exif[0x010E] = description.decode("latin-1")
    Image.new("L", (8, 8)).save(target, "JPEG", exif=exif)
    return target.getvalue()


def exif(**values: object) -> bytes:
    said = {"device_id": "cage-1", "epoch": EPOCH, "seq": 1, "captured_at": "2026-01-01T00:00:00Z"} | values
    return bare_picture(jsontext.encode(said))


@pytest.mark.parametrize(
    "body",
    [
        spoilt(b"2026-01-05T13:00:00Z", b"9999-12-31T23:59:59-14:00"),
        spoilt(b"2026-01-05T13:00:00Z", b"0001-01-01T00:00:00+14:00"),
        spoilt(b"2026-01-05T13:00:00Z", b"2201-01-01T00:00:00Z"),
        spoilt(b"2026-01-05T13:00:00Z", b"1969-12-31T23:59:59Z"),
        spoilt(b"2026-01-05T13:00:00Z", b"1970-01-01T13:59:59+14:00"),  # 1969 in UTC
        spoilt(b"2026-01-05T13:00:00Z", b"2200-12-31T23:59:59-00:01"),  # 2201 in UTC
        spoilt(b"2026-01-05T13:00:00Z", b"2026-01-05T13:00:00"),
        spoilt(b'"monotonic_s":1001.0', b'"monotonic_s":1e300'),
        spoilt(b'"age_days":100.0', b'"age_days":1e300'),
        spoilt(b'"expected_animals":1', b'"expected_animals":9223372036854775807'),
        spoilt(b'"cage_id":"cage-1"', b'"cage_id":"' + b"x" * 257 + b'"'),
        spoilt(b'"distribution":[0.25', b'"distribution":[' + b"0.1," * 4096 + b"0.25"),
        spoilt(b'"detail":""', b'"detail":"' + b"x" * MAX_RECORD_BYTES + b'"'),
        b'{"schema":' + b"[" * 100_000,
        b"{" + b",".join(b'"k%d":1' % number for number in range(20_000)) + b',"k19999":1}',
    ],
    ids=lambda body: f"{body[:20]!r}...{len(body)}",
)
def test_a_record_out_of_bounds_costs_itself(store: Store, tmp_path: Path, body: bytes) -> None:
    taken = store.take([arrival(body, 1), arrival(samples.event(2), 2)])
    assert (taken.stored, taken.quarantined) == (1, 1)
    assert records(store) == RangeSet([(1, 2)])
    [(content,)] = query(tmp_path, "SELECT content FROM quarantine")
    assert content.endswith(body[1:])


@pytest.mark.parametrize("at", [b"1970-01-01T00:00:05Z", b"1970-01-01T14:00:05+14:00", b"2201-01-01T13:59:59+14:00"])
def test_a_date_of_a_clock_that_was_never_set_is_stored_and_its_picture_too(
    store: Store, tmp_path: Path, at: bytes
) -> None:
    jpeg = samples.picture(1)
    body = spoilt(b"2026-01-05T13:00:00Z", at, samples.reading(1, thumbnail=jpeg))
    assert store.take([arrival(body, 1), picture_arrival(jpeg)]).stored == 2
    [(path,)] = query(tmp_path, "SELECT path FROM thumbnails")
    assert (tmp_path / path).read_bytes() == jpeg


@pytest.mark.parametrize(
    "seq", ["9" * 49, "1" + "0" * 48, "0" * 48 + "1", str(2**53), str(2**63), "0", "-1", "1e3", "²"]
)
@pytest.mark.parametrize("where", ["properties", "exif"])
def test_a_picture_with_a_number_that_is_none_costs_itself(store: Store, seq: str, where: str) -> None:
    if where == "properties":
        bad = picture_arrival(bare_picture(), properties=(("epoch", EPOCH), ("seq", seq)))
    else:
        bad = picture_arrival(exif(seq=seq))
    taken = store.take([bad, arrival(samples.event(2), 2)])
    assert (taken.stored, taken.quarantined) == (1, 1)


@pytest.mark.parametrize("seq", [2**63 - 1, 2**64, 10**48, -(2**63), 1.5, True, None, [1], {"a": 1}])
def test_an_exif_with_a_value_that_is_no_number_costs_itself(store: Store, seq: object) -> None:
    jpeg = bare_picture(b'{"device_id":"cage-1","epoch":"%s","seq":%s}' % (EPOCH.encode(), _json(seq)))
    taken = store.take([picture_arrival(jpeg), arrival(samples.event(2), 2)])
    assert (taken.stored, taken.quarantined) == (1, 1)


def _json(value: object) -> bytes:
    import json

    return json.dumps(value).encode()


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-01-01", "", 5])
def test_a_picture_with_a_strange_date_is_kept_under_the_day_that_it_came(
    store: Store, tmp_path: Path, at: object
) -> None:
    assert store.take([picture_arrival(exif(captured_at=at))]).stored == 1
    [(path,)] = query(tmp_path, "SELECT path FROM thumbnails")
    assert path.startswith("thumbnails/cage-1/2027-01/")


def test_damaged_exif_says_nothing_in_the_journal(store: Store, recwarn: pytest.WarningsRecorder) -> None:
    """Pillow warns of each, in two lines: a device could fill the journal."""
    whole = exif()
    begin = whole.index(b"Exif\0\0") + 6
    for at in range(begin, begin + 40):
        store.take([picture_arrival(whole[:at] + b"\xff\xfe\xfd" + whole[at + 3 :])])
    assert [str(one.message) for one in recwarn] == []


@pytest.mark.parametrize("at", ["1969-12-31T23:00:05-01:00", "1970-01-01T14:00:00+14:00", "2201-01-01T09:00:00+14:00"])
def test_the_years_are_those_of_utc(store: Store, at: str) -> None:
    """A device whose clock was never set begins in 1970 of UTC, whatever its zone."""
    body = spoilt(b"2026-01-05T13:00:00Z", at.encode())
    assert store.take([arrival(body, 1)]).stored == 1


def test_two_numbers_among_the_user_properties_are_none(store: Store) -> None:
    twice = picture_arrival(bare_picture(), properties=(("epoch", EPOCH), ("seq", "1"), ("seq", "2")))
    assert store.take([twice]).quarantined == 1


@pytest.mark.parametrize(("first", "last"), [(9, 4), (1, 2**53), (1, 2**63 - 1), (0, 4), (-1, 4)])
def test_a_loss_of_numbers_that_are_none_costs_itself(store: Store, first: int, last: int) -> None:
    body = jsontext.encode(samples.lost(1, 4)).replace(b'"first_seq":1', b'"first_seq":%d' % first)
    bad = arrival(body.replace(b'"last_seq":4', b'"last_seq":%d' % last), 1, stream="record")
    taken = store.take([bad, arrival(samples.event(2), 2)])
    assert (taken.stored, taken.quarantined) == (1, 1)
    assert "Lost: " in taken.alarms[0], "the contract refuses it, nothing else had to"
    assert records(store) == RangeSet([(1, 2)])


def test_a_loss_of_nearly_all_numbers_takes_no_memory(store: Store, tmp_path: Path) -> None:
    most = 2**53 - 1
    store.take([arrival(samples.lost(1, most), 1), arrival(samples.event(1), most, epoch="f" * 32, first_held=most)])
    assert [of.through for of in store.committed("cage-1").epochs] == [most, most]
    assert records(store) == RangeSet([(1, 1)])
    store.close()
    with closing(Store.open(tmp_path)) as again:
        assert records(again, "f" * 32) == RangeSet([(most, most)])


def test_a_state_of_half_a_megabyte_is_noted_and_not_kept(store: Store, tmp_path: Path) -> None:
    taken = store.take([Arrival("cage-1", "health", b"[" * 500_000, 1.0), Arrival("cage-1", "info", b"{}", 1.0)])
    assert taken.quarantined == 1
    assert query(tmp_path, "SELECT what FROM device_state") == [("info",)]
    assert query(tmp_path, "SELECT bytes, length(content) FROM quarantine") == [(500_000, 4096)]


def test_a_reason_cannot_steer_a_terminal(store: Store) -> None:
    body = spoilt(b'"detail":""', '"\u001b[2J\u202e":1'.encode())
    [alarm] = store.take([arrival(body, 1)]).alarms
    assert alarm.isprintable()


def test_a_thumbnail_that_was_removed_by_hand_holds_nothing_up(store: Store, tmp_path: Path) -> None:
    store.take([picture_arrival(samples.picture(1, shade=9))])
    [(path,)] = query(tmp_path, "SELECT path FROM thumbnails")
    (tmp_path / path).unlink()
    taken = store.take([arrival(samples.reading(1, thumbnail=samples.picture(1)), 1)])
    assert (taken.stored, taken.quarantined) == (1, 1)


def test_an_account_that_cannot_be_read_is_mended_by_what_comes_again(tmp_path: Path) -> None:
    messages = [arrival(samples.event(seq), seq) for seq in (1, 2)]
    with closing(Store.open(tmp_path)) as store:
        store.take(messages)
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        connection.execute("UPDATE accounts SET records = '[[1, 99999999999999999999], \"x\"', thumbnails = 5")
        connection.commit()
    with closing(Store.open(tmp_path)) as store:
        assert records(store) == RangeSet()
        assert store.take(messages).known == 2
        assert records(store) == RangeSet([(1, 2)])


def quotas(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return describe_quotas(connection)


def test_over_the_quarantines_quota_the_body_goes_and_the_number_is_accounted_for(tmp_path: Path) -> None:
    poison = [arrival(b'{"schema":"cageclock/reading/9","n":%d}' % seq, seq) for seq in range(1, 31)]
    with closing(Store.open(tmp_path, limits=Limits(quarantine_rows=5))) as store:
        alarms = store.take(poison).alarms
        assert len([alarm for alarm in alarms if "QUOTA cage-1" in alarm]) == 2, "at 1 and at 10"
        store.take(poison)
        assert records(store) == RangeSet([(1, 30)])
    rows = query(tmp_path, "SELECT seq, length(content), length(digest), reason, times FROM quarantine ORDER BY seq")
    assert [seq for seq, size, *_ in rows if size] == [1, 2, 3, 4, 5]
    assert all(digest == 64 and "schema" in reason and times == 2 for _, _, digest, reason, times in rows)
    assert len(rows) == 30
    [sentence] = quotas(tmp_path)
    assert "5 kept whole, of 25 more" in sentence


def test_the_quarantines_quota_of_bytes_is_per_device(tmp_path: Path) -> None:
    big = [
        arrival(b'{"x":"%d%s"}' % (seq, b"x" * 200_000), seq, device=device) for seq in range(1, 8) for device in "ab"
    ]
    with closing(Store.open(tmp_path, limits=Limits(quarantine_mb=1))) as store:
        store.take(big)
    assert query(tmp_path, "SELECT device, count(*) FROM quarantine WHERE length(content) > 0 GROUP BY device") == [
        ("a", 5),
        ("b", 5),
    ]


def test_over_the_quota_of_conflicts_the_content_goes(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path, limits=Limits(conflict_rows=2))) as store:
        store.take([arrival(samples.event(1, text=str(number)), 1) for number in range(6)])
    assert query(tmp_path, "SELECT count(*), sum(length(content) > 0) FROM conflicts") == [(5, 2)]
    assert "2 kept whole, of 3 more" in quotas(tmp_path)[0]


def test_over_the_quota_of_epochs_nothing_is_accounted_for_and_known_epochs_go_on(tmp_path: Path) -> None:
    epochs = [f"{number:032x}" for number in range(5)]
    with closing(Store.open(tmp_path, limits=Limits(epochs=3))) as store:
        taken = store.take([arrival(samples.event(1), 1, epoch=epoch) for epoch in epochs])
        assert (taken.stored, taken.refused) == (3, 2)
        assert "QUOTA cage-1" in taken.alarms[-1]
        assert store.take([arrival(samples.lost(1, 3, of_epoch=epochs[4]), 2, epoch=epochs[0])]).refused == 1
        assert store.take([arrival(samples.event(3), 3, epoch=epochs[0])]).stored == 1
        assert records(store, epochs[0]) == RangeSet([(1, 1), (3, 3)])
        assert {of.epoch for of in store.committed("cage-1").epochs} == set(epochs[:3])
        assert store.take([arrival(samples.event(1, device="b"), 1, device="b")]).stored == 1
    assert "epochs: 3 messages not accounted for" in quotas(tmp_path)[0]
    assert query(tmp_path, "SELECT count(*) FROM losses") == [(0,)]
    with closing(Store.open(tmp_path, limits=Limits(epochs=5))) as store:
        assert store.take([arrival(samples.event(1), 1, epoch=epoch) for epoch in epochs]).stored == 2


def test_numbers_in_too_many_pieces_are_not_accounted_for_until_the_pieces_join(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path, limits=Limits(gaps=3))) as store:
        found = [store.take([arrival(samples.event(seq), seq)]) for seq in (1, 3, 5, 7, 2, 8)]
        assert [taken.refused for taken in found] == [0, 0, 0, 1, 0, 0]
        assert records(store) == RangeSet([(1, 3), (5, 5), (8, 8)])
        assert store.take([arrival(samples.event(7), 7)]).stored == 1
        together = [arrival(samples.event(seq), seq) for seq in (4, 10, 12, 14, 6)]
        taken = store.take(together)
        assert (taken.stored, taken.refused) == (3, 2)


def test_a_device_beyond_the_quota_leaves_no_trace_but_a_count(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path, limits=Limits(devices=2))) as store:
        messages = [Arrival(f"ghost-{number}", "info", b"{}", 1.0) for number in range(50)]
        messages += [arrival(samples.event(1, device="cage-1"), 1), Arrival("ghost-9", "thumbnail", b"x", 1.0)]
        taken = store.take(messages)
        assert taken.refused == 50
        assert taken.devices == {"ghost-0", "ghost-1"}
    assert quotas(tmp_path) == [
        "quota reached: devices never heard before: devices: 50 messages not accounted for; their devices keep them"
    ]
    assert len(query(tmp_path, "SELECT DISTINCT device FROM device_state UNION SELECT device FROM quarantine")) == 2


def test_a_database_from_before_the_quotas_is_counted_when_it_is_opened(tmp_path: Path) -> None:
    poison = [arrival(b'{"schema":"cageclock/reading/9","n":%d}' % seq, seq) for seq in range(1, 5)]
    with closing(Store.open(tmp_path)) as store:
        store.take(poison[:3])
    with closing(sqlite3.connect(tmp_path / "station.db")) as connection:
        connection.execute("DROP TABLE usage")
    assert quotas(tmp_path) == []
    with closing(Store.open(tmp_path, limits=Limits(quarantine_rows=3, devices=1))) as store:
        store.take(poison)
    assert "3 kept whole, of 1 more" in quotas(tmp_path)[0]
