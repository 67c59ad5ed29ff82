"""The store on PostgreSQL does with every message what the store on SQLite does with it."""

import random
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from edge.contract import jsontext
from edge.contract.reading import Light
from station.days.keep import rebuild
from station.store import schema
from station.store.message import Arrival
from station.store.quota import Limits
from station.store.retention import Rule
from tests.station import samples
from tests.station.samples import EPOCH, arrival, picture_arrival
from tests.station.store.postgres.lab import Lab, promise


def test_a_record_is_stored_once_however_often_it_comes(lab: Lab) -> None:
    message = arrival(samples.reading(1), 1)
    with lab.store() as store:
        assert store.take([message, message]).stored == 1
        assert store.take([message]).known == 1
    assert lab.stored() == {1: jsontext.encode(samples.reading(1))}


def test_another_content_under_a_taken_key_is_a_conflict_also_within_one_batch(lab: Lab) -> None:
    with lab.store() as store:
        found = store.take([arrival(samples.reading(1, age_days=100), 1), arrival(samples.reading(1, age_days=300), 1)])
        assert (found.stored, found.conflicts) == (1, 1)
    [(seq, times)] = lab.query("SELECT seq, times FROM conflicts")
    assert (seq, times) == (1, 1)


def test_what_is_committed_is_promised_by_the_next_start_too(lab: Lab) -> None:
    with lab.store() as store:
        store.take([arrival(samples.event(seq), seq) for seq in (1, 2, 5)])
        before = promise(store)
    with lab.store() as store:
        assert promise(store) == before
        assert (before.through, before.holes) == (5, ((3, 4),))


def test_a_text_that_one_database_cannot_hold_costs_that_message_only(lab: Lab) -> None:
    """PostgreSQL's texts hold no NUL: the message is set aside whole, and accounted for."""
    body = jsontext.encode(samples.event(2, text="a NUL: @")).replace(b"@", b"\\u0000")
    messages = [arrival(samples.event(1), 1), arrival(body, 2, stream="record"), arrival(samples.event(3), 3)]
    with lab.store() as store:
        found = store.take(messages)
        assert found.stored + found.quarantined == 3
        assert {1, 3} <= set(lab.stored())
        assert promise(store).through == 3
    if found.quarantined:
        [(content,)] = lab.query("SELECT content FROM quarantine")
        assert bytes(content) == messages[1].payload


def test_one_message_at_fault_among_many_leaves_the_others_stored(lab: Lab) -> None:
    """What only the database finds wrong shows when a whole batch is written: the batch is then taken one by one."""
    good = [arrival(samples.reading(seq), seq) for seq in range(1, 40)]
    body = jsontext.encode(samples.reading(40)).replace(b'"C57BL/6J"', b'"C57\\u0000BL"')
    with lab.store() as store:
        found = store.take([*good[:20], arrival(body, 40), *good[20:]])
        assert found.stored + found.quarantined == 40
        assert promise(store).through == 40
    assert set(range(1, 40)) <= set(lab.stored())


def test_a_message_over_a_quota_is_taken_back_whole(lab: Lab) -> None:
    with lab.store(limits=Limits(epochs=1)) as store:
        first = store.take([arrival(samples.event(1), 1), arrival(samples.event(1), 1, epoch="f" * 32)])
        assert (first.stored, first.refused) == (1, 1)
    assert lab.query("SELECT count(*) FROM records") == [(1,)]
    assert lab.query("SELECT device, what, over FROM usage WHERE over > 0") == [("cage-1", "epochs", 1)]


def test_a_message_that_is_found_over_a_quota_after_its_rows_were_made_leaves_none_of_them(lab: Lab) -> None:
    """Its rows may wait yet, or stand in the database already: a message between them has had all written."""
    numbers = [*range(1, 40, 2), 41]
    messages = [arrival(samples.reading(seq), seq) for seq in numbers]
    unset = [arrival(samples.reading(seq, synced=False), seq) for seq in (60, 64)]
    with lab.store(limits=Limits(gaps=10)) as store:
        found = store.take([*messages, *unset])
        assert found.refused > 0
        assert found.stored + found.refused == len(messages) + len(unset)
    for table in ("records", "readings", "animals"):
        assert lab.query(f"SELECT count(*) FROM main.{table}") == [(found.stored,)], table
    assert lab.query("SELECT records FROM totals") == [(found.stored,)]


def test_verify_finds_a_flipped_bit_and_asks_the_device_again(lab: Lab) -> None:
    messages = [arrival(samples.reading(seq), seq) for seq in (1, 2, 3)]
    with lab.store() as store:
        store.take(messages)
    with closing(schema.open_for_writing(lab.data)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE records SET received_at = received_at + 1 WHERE seq = ?", (2,))
        connection.execute("COMMIT")
    with lab.store() as store:
        findings, complete = store.verify_part(1.8e9, fresh=True)
        while not complete:
            more, complete = store.verify_part(1.8e9)
            findings += more
        assert any("record" in finding for finding in findings)
        assert promise(store).holes == ((2, 2),)
        assert store.take(messages).stored == 1
        assert (promise(store).through, promise(store).holes) == (3, ())
    assert lab.query("SELECT records FROM totals") == [(3,)]


def test_records_of_a_later_schema_are_taken_in_by_the_version_that_knows_it(lab: Lab) -> None:
    later = arrival(jsontext.encode(samples.event(1)).replace(b"event/1", b"event/9"), 1, stream="record")
    with lab.store() as store:
        assert store.take([later]).quarantined == 1
    with closing(schema.open_for_writing(lab.data)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        fixed = arrival(samples.event(1), 1).payload
        connection.execute("UPDATE quarantine SET content = ?, bytes = ?", (fixed, len(fixed)))
        connection.execute("COMMIT")
    with lab.store() as store:
        assert store.reread().stored == 1
    assert lab.query("SELECT count(*) FROM quarantine") == [(0,)]
    assert set(lab.stored()) == {1}


def test_retention_removes_bodies_and_pictures_once_and_verify_knows_of_it(lab: Lab) -> None:
    jpeg = samples.picture(1)
    messages = [picture_arrival(jpeg)]
    messages += [arrival(samples.reading(seq, thumbnail=jpeg if seq == 1 else None), seq) for seq in range(1, 8)]
    rules = [Rule(what="bodies", older_than_days=10), Rule(what="thumbnails", older_than_days=10)]
    now_s = 1.8e9 + 20 * 86400.0
    with lab.store() as store:
        store.take(messages)
        removed, complete = 0, False
        while not complete:
            number, complete = store.retain_part(rules, "a test", now_s)
            removed += number
        assert removed == 8
        again = store.take(messages)
        assert (again.stored, again.known) == (0, 8)
        findings, complete = store.verify_part(now_s, fresh=True)
        while not complete:
            more, complete = store.verify_part(now_s)
            findings += more
        assert findings == []
    lines = lab.query("SELECT what, removed, first_s, last_s FROM retention_log ORDER BY id")
    assert lines == [("bodies", 7, 1.8e9 + 1, 1.8e9 + 7), ("thumbnails", 1, 1.8e9, 1.8e9)]
    assert list((lab.data / "thumbnails").rglob("*.jpg")) == []


def test_the_picture_is_named_only_by_a_committed_row_and_lies_in_the_folder(lab: Lab) -> None:
    jpeg = samples.picture(1)
    with lab.store() as store:
        store.take([picture_arrival(jpeg), arrival(samples.reading(1, thumbnail=jpeg), 1)])
    [(path,)] = lab.query("SELECT path FROM thumbnails")
    assert (lab.data / path).read_bytes() == jpeg


def messages_of_a_life(seed: int) -> list[list[Arrival]]:
    """Batches of three devices: records in and out of order, again, unreadable, lost, corrected, with pictures."""
    chance = random.Random(seed)
    made: list[Arrival] = []
    for device in ("cage-1", "cage-2", "käfig"):
        for epoch in (EPOCH, f"{seed:032x}"):
            for seq in range(1, 30):
                kind = chance.random()
                synced, boot = chance.random() < 0.7, f"boot-{chance.randrange(3)}"
                jpeg = samples.picture(seq, epoch, device) if kind < 0.3 else None
                if kind < 0.6:
                    one = samples.reading(
                        seq,
                        device=device,
                        synced=synced,
                        boot=boot,
                        thumbnail=jpeg,
                        accepted=chance.random() < 0.8,
                        age_days=float(chance.randrange(30, 700)),
                        light=chance.choice([Light.DARK, Light.LIGHT]),
                    )
                    made.append(arrival(one, seq, device=device, epoch=epoch, first_held=chance.choice([1, 1, seq])))
                    if jpeg is not None:
                        shown = jpeg if chance.random() < 0.8 else samples.picture(seq, epoch, device, shade=250)
                        made.append(picture_arrival(shown, device=device))
                elif kind < 0.7:
                    made.append(arrival(samples.event(seq, device=device), seq, device=device, epoch=epoch))
                elif kind < 0.78:
                    one = msgspec.structs.replace(samples.correction(boot, 1.7e9 + seq), device_id=device)
                    made.append(arrival(one, seq, device=device, epoch=epoch))
                elif kind < 0.86:
                    lost = samples.lost(seq, seq + chance.randrange(5), of_epoch=epoch)
                    made.append(
                        arrival(msgspec.structs.replace(lost, device_id=device), seq, device=device, epoch=epoch)
                    )
                elif kind < 0.93:
                    made.append(arrival(b'{"schema":"cageclock/reading/9"}', seq, device=device, epoch=epoch))
    made += [chance.choice(made) for _ in range(60)]  # again, out of order
    made += [Arrival("cage-1", "health", b"{}", 1.8e9), Arrival("cage-1", "info", b"not json", 1.8e9)]
    chance.shuffle(made)
    batches = []
    while made:
        size = chance.randrange(1, 90)
        batches.append(made[:size])
        made = made[size:]
    return batches


@pytest.mark.parametrize("seed", range(2))
def test_the_same_messages_leave_the_same_rows_and_promises_in_both_databases(
    tmp_path: Path, url: str, seed: int
) -> None:
    first, second = Lab(tmp_path / "one", None), Lab(tmp_path / "two", url)
    with first.store() as one, second.store() as two:
        for batch in messages_of_a_life(seed):
            assert one.take(batch) == two.take(batch)
        for device in one.devices():
            assert one.committed(device).epochs == two.committed(device).epochs
        for store in (one, two):
            while store.settle_days():
                pass
    expected, found = first.content(), second.content()
    assert sum(map(len, expected.values())) > 100
    for table, rows in expected.items():
        assert found[table] == rows, table


def test_the_days_equal_those_made_anew_from_the_log(postgres_lab: Lab) -> None:
    with postgres_lab.store() as store:
        for batch in messages_of_a_life(11):
            store.take(batch)
        while store.settle_days():
            pass
    kept = postgres_lab.content()["days"]
    with closing(schema.open_for_writing(postgres_lab.data)) as connection:
        rebuild(connection)
    assert postgres_lab.content()["days"] == kept
    assert len(kept) > 3


def test_readers_see_the_same_columns_in_the_same_order(postgres_lab: Lab, tmp_path: Path) -> None:
    other = Lab(tmp_path / "other", None)
    for lab in (postgres_lab, other):
        with lab.store() as store:
            store.take([arrival(samples.reading(1), 1)])
    for view in ("timed_readings", "timed_events", "animals", "losses", "best_correction"):
        assert other.query(f"SELECT * FROM {view}") == postgres_lab.query(f"SELECT * FROM {view}")
