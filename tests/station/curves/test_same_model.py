"""A model that was given another name by an upgrade of the device is no other model on the curves."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from station.curves.read import load_curves
from station.store.store import Store
from tests.station.samples import arrival, event, reading

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64


def marks(data: Path, *records, device: str = "cage-1") -> list[str]:
    store = Store.open(data)
    store.take([arrival(record, seq, device=record.device_id) for seq, record in enumerate(records, 1)])
    store.close()
    with closing(sqlite3.connect(data / "station.db")) as connection:
        connection.row_factory = sqlite3.Row
        curves = [curve for curve in load_curves(connection, "day") if curve.device == device]
    return [mark.text for curve in curves for mark in curve.marks if mark.kind == "model"]


def renamed(seq: int, device: str = "cage-1", *, same: bool = True):
    detail = {"before": OLD, "now": NEW} | ({"same_model": True} if same else {})
    return msgspec.structs.replace(event(seq, "model_changed", device=device), detail=detail)


def test_without_a_word_of_the_device_another_digest_is_another_model(tmp_path: Path) -> None:
    assert marks(tmp_path, reading(1, model_sha=OLD), reading(2, model_sha=NEW)) == ["model aaaaaaaa → bbbbbbbb"]


def test_the_same_model_under_another_name_is_no_change(tmp_path: Path) -> None:
    found = [reading(1, model_sha=OLD), renamed(2), reading(3, model_sha=NEW), reading(4, model_sha=OTHER)]
    assert marks(tmp_path, *found) == ["model bbbbbbbb → cccccccc"]


@pytest.mark.parametrize("said", [renamed(2, "cage-2"), renamed(2, same=False)])
def test_only_the_devices_own_word_that_it_is_the_same_counts(said, tmp_path: Path) -> None:
    assert len(marks(tmp_path, reading(1, model_sha=OLD), said, reading(3, model_sha=NEW))) == 1
