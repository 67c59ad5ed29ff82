"""Epochs in a row: what is missing at the end of one is named, copied cards are, and every question is answered."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.contract import jsontext
from edge.contract.committed import MAX_MESSAGE_BYTES
from edge.contract.record import Event, LostRanges
from station.cli import main
from station.curves.read import load_curves
from station.status import load_status
from station.status_text import draw_status
from station.store import schema
from station.store.message import Arrival
from station.store.store import Store
from tests.station import samples
from tests.station.samples import arrival
from tests.station.versions import as_version_2

E1, E2, E3, E4 = (f"{number}" * 32 for number in "1234")
DEVICE = "cage-1"


@pytest.fixture
def store(tmp_path: Path):
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def _begun(before: str, last: int, starts: int, reason: str, at: datetime | None = None) -> Event:
    detail = {"reason": reason, "before": before, "last": last, "starts": starts}
    return msgspec.structs.replace(samples.event(1, "epoch_begun", at=at), detail=detail)


def at_time(message: Arrival, received_at: float) -> Arrival:
    return dataclasses.replace(message, received_at=received_at)


def begun(epoch: str, before: str, last: int, starts: int, reason: str = "start", **more: Any) -> Arrival:
    """Return the first record of an epoch."""
    one = _begun(before, last, starts, reason)
    return arrival(one, 1, epoch=epoch, **more)


def info(*epochs: dict[str, Any], oldest: str = "") -> Arrival:
    """Return an `info` that names these epochs."""
    body = {"epochs": list(epochs), "oldest_held": [oldest] if oldest else []}
    return Arrival(DEVICE, "info", json.dumps(body).encode(), 5.0)


def named(epoch: str, starts: int, before: str = "", before_last: int = 0, last: int = 9) -> dict[str, Any]:
    found = {"epoch": epoch, "publisher": "capture", "first_held": 1, "last": last, "starts": starts}
    return found | ({"before": before, "before_last": before_last} if before else {})


def losses(data: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        query = "SELECT epoch, first_seq, last_seq FROM losses WHERE what = 'record' ORDER BY epoch, first_seq"
        return connection.execute(query).fetchall()


def status(data: Path):
    with closing(schema.open_for_reading(data)) as connection:
        return load_status(connection)[0]


def test_what_is_missing_at_the_end_of_an_epoch_is_named_once_the_device_has_let_go_of_it(
    store: Store, tmp_path: Path
) -> None:
    store.take([arrival(samples.reading(1), seq, epoch=E1) for seq in (1, 2, 4)])
    taken = store.take([begun(E2, E1, 6, 2)])
    assert losses(tmp_path) == [], "the device may still hold them"
    taken = store.take([info(named(E1, 1, last=6), named(E2, 2, E1, 6), oldest=E1)])
    assert losses(tmp_path) == [], "it says that it does"
    taken = store.take([info(named(E2, 2, E1, 6), oldest=E2)])
    assert losses(tmp_path) == [(E1, 3, 3), (E1, 5, 6)]
    (alarm,) = [text for text in taken.alarms if "records of an epoch that has ended were deleted" in text]
    assert alarm.endswith("before this station had them: 11111111 3-3, 5-6")
    assert not store.take([info(named(E2, 2, E1, 6), oldest=E2)]).alarms, "it is said once"


def test_a_second_station_that_was_away_over_three_starts_and_an_expiry_names_what_it_lacks(
    store: Store, tmp_path: Path
) -> None:
    store.take([arrival(samples.reading(1), seq, epoch=E1) for seq in range(1, 6)])
    store.take([info(named(E1, 1, last=5), oldest=E1)])
    # Away: E1 went on to 8, E2 and E3 came and went; of E4 the first records have expired too.
    store.take([arrival(samples.reading(1), 7, epoch=E4, first_held=7)])
    store.take([info(named(E4, 4, E3, 20), oldest=E4)])
    assert losses(tmp_path) == [(E3, 1, 20), (E4, 1, 6)]
    found = status(tmp_path)
    assert (found.lost, found.unseen, found.needs_a_person) == (26, 1, True)
    assert "1 starts of which nothing came here" in draw_status([found], found.last_reading_at)


def test_a_link_that_comes_late_is_followed_too(store: Store, tmp_path: Path) -> None:
    store.take([info(named(E4, 4, E3, 20), oldest=E4)])
    assert losses(tmp_path) == [(E3, 1, 20)]
    store.take([begun(E3, E2, 4, 3)])
    assert losses(tmp_path) == [(E2, 1, 4), (E3, 2, 20)]


def test_two_epochs_with_one_predecessor_are_a_copied_card(store: Store, tmp_path: Path) -> None:
    store.take([arrival(samples.reading(1), 1, epoch=E1)])
    assert not store.take([begun(E2, E1, 1, 2)]).alarms
    assert status(tmp_path).copied == 0
    (alarm,) = store.take([begun(E3, E1, 1, 2)]).alarms
    assert alarm.startswith("COPIED cage-1: epochs 33333333 and 22222222 both go on after 11111111")
    assert not store.take([begun(E3, E1, 1, 2)]).alarms
    found = status(tmp_path)
    assert (found.copied, found.needs_a_person) == (2, True)
    assert "a copied card" in draw_status([found], found.last_reading_at)


@pytest.mark.parametrize("reason", ["damaged", "torn journal"])
def test_an_epoch_after_damage_is_no_copied_card(store: Store, tmp_path: Path, reason: str) -> None:
    store.take([arrival(samples.reading(1), 1, epoch=E1), begun(E2, E1, 1, 2)])
    assert not store.take([begun(E3, E1, 1, 2, reason)]).alarms
    assert status(tmp_path).copied == 0


@pytest.mark.parametrize("reason", ["start", "another board", "damaged"])
def test_a_plain_start_is_no_mark_on_a_curve(store: Store, tmp_path: Path, reason: str) -> None:
    days = samples.days([(day, 100 + day) for day in range(6)], subject="M1")
    store.take(days)
    at = _begun(E1, 1, 2, reason, at=samples.START + timedelta(days=3))
    store.take([arrival(at, 1, epoch=E2)])
    with closing(schema.open_for_reading(tmp_path)) as connection:
        (curve,) = load_curves(connection, "day")
    assert [mark.kind for mark in curve.marks] == ([] if reason == "start" else ["database"])


def test_boots_that_never_got_the_time_are_in_the_order_of_the_starts(store: Store, tmp_path: Path) -> None:
    epochs = [E4, E2, E3, E1]  # names in another order than the starts
    store.take([begun(epoch, "f" * 32, 1, starts) for starts, epoch in enumerate(epochs, start=2)])
    for epoch in reversed(epochs):
        store.take([arrival(samples.reading(2, synced=False, boot=f"boot {epoch[0]}"), 2, epoch=epoch)])
    assert main(["export", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    lines = (tmp_path / "out" / "readings.csv").read_text().splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == epochs


def test_a_loss_of_many_epochs_is_taken_and_accounted_for(store: Store, tmp_path: Path) -> None:
    one = samples.lost(1, 1)
    many = LostRanges(
        device_id=one.device_id,
        recorded_at=one.recorded_at,
        boot_id=one.boot_id,
        monotonic_s=one.monotonic_s,
        clock_synced=True,
        what="record",
        ranges=((E1, 1, 3), (E2, 2, 2)),
        reason="no space",
    )
    store.take([arrival(many, 1, epoch=E3)])
    assert losses(tmp_path) == [(E1, 1, 3), (E2, 2, 2)]
    promised = {of.epoch: (of.through, of.holes) for of in store.committed(DEVICE).epochs}
    assert promised == {E1: (3, ((1, 3),)), E2: (2, ((1, 2),)), E3: (1, ())}


@pytest.mark.slow
def test_every_epoch_that_a_device_names_is_answered_within_the_size_of_a_message(store: Store) -> None:
    epochs = [f"{number:032x}" for number in range(200)]
    for number, epoch in enumerate(epochs):
        seqs = range(1, 200, 2) if number >= 130 else (1,)
        store.take([at_time(arrival(samples.reading(1), 10**12 + seq, epoch=epoch), number) for seq in seqs])
    asked = [*epochs[:40], *[f"{number:032x}" for number in range(1000, 1024)]]
    store.take([info(*[named(epoch, 0) for epoch in asked])])
    promise = store.committed(DEVICE)
    assert len(jsontext.encode(promise)) <= MAX_MESSAGE_BYTES
    answered = {of.epoch: of.through for of in promise.epochs}
    assert set(asked) <= set(answered)
    assert [answered[epoch] for epoch in asked[40:]] == [0] * 24, "what is not known is answered with nothing"
    assert set(epochs[-64:]) <= set(answered), "and what came last"


@pytest.mark.slow
def test_ten_thousand_epochs_of_one_capture_pass_the_quota(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        for start in range(0, 10_200, 300):
            taken = store.take(
                [
                    at_time(arrival(samples.reading(1), 1, epoch=f"{number:032x}"), number)
                    for number in range(start, start + 300)
                ]
            )
            assert (taken.refused, taken.stored) == (0, 300)
        assert len(jsontext.encode(store.committed(DEVICE))) <= MAX_MESSAGE_BYTES


def test_a_hostile_info_is_read_as_far_as_it_goes(store: Store, tmp_path: Path) -> None:
    for body in (b"", b"[]", b'{"epochs":3,"oldest_held":{}}', b'{"epochs":[3,{"epoch":"x"},{"epoch":[]}]}'):
        store.take([Arrival(DEVICE, "info", body, 1.0)])
        assert store.committed(DEVICE).epochs == ()
    body = {"epochs": [{"epoch": E1, "publisher": "capture", "starts": 1e99, "before": 3, "before_last": -1}]}
    store.take([Arrival(DEVICE, "info", json.dumps(body).encode(), 1.0)])
    assert losses(tmp_path) == []
    loop = [named(E1, 3, E2, 2), named(E2, 2, E1, 2)]
    store.take([info(*loop, oldest=E1)])
    assert losses(tmp_path) == [(E1, 1, 2), (E2, 1, 2)], "a chain that bites its tail ends"


def test_a_database_of_version_2_is_read_as_it_is_and_goes_on(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.reading(1), 1, epoch=E1)])
    with closing(sqlite3.connect(tmp_path / "station.db", isolation_level=None)) as connection:
        as_version_2(connection)
    assert status(tmp_path).records == 1
    with closing(schema.open_for_reading(tmp_path)) as connection:
        assert len(load_curves(connection, "day")) == 1
    with closing(Store.open(tmp_path)) as store:
        store.take([begun(E2, E1, 1, 2), arrival(samples.reading(1), 2, epoch=E2)])
    assert status(tmp_path).records == 3


def test_a_copied_card_that_somebody_knows_of_needs_nobody_until_another_copy_comes(
    store: Store, tmp_path: Path
) -> None:
    store.take([arrival(samples.reading(1), 1, epoch=E1), begun(E2, E1, 1, 2), begun(E3, E1, 1, 2)])
    assert main(["devices", "acknowledge", DEVICE, "--data", str(tmp_path)]) == 0
    assert "copied" in status(tmp_path).known
    store.take([begun(E4, E1, 1, 2)])
    found = status(tmp_path)
    assert ("copied" in found.known, found.needs_a_person) == (False, True)
    assert "3 epochs go on after the same one" in draw_status([found], found.last_reading_at)
