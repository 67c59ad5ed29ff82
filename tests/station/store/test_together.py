"""A batch is taken together; one message at fault costs that message, and no other one its picture or its place."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.errors import StorageError
from station.store.store import ONE_BY_ONE, Store
from tests.station import samples
from tests.station.samples import arrival, picture_arrival


def _batch(first: int, last: int, device: str = "cage-1") -> list[Any]:
    found = []
    for seq in range(first, last + 1):
        jpeg = samples.picture(seq, device=device)
        found.append(arrival(samples.reading(seq, thumbnail=jpeg, device=device), seq, device=device))
        found.append(picture_arrival(jpeg, device=device))
    return found


def _refuse(action: int, name: str) -> Callable[..., int]:
    return lambda asked, of, *_: sqlite3.SQLITE_DENY if (asked, of) == (action, name) else sqlite3.SQLITE_OK


def _stored(data: Path) -> int:
    return len([path for path in data.rglob("*.jpg") if path.read_bytes()])


def test_every_picture_and_every_folder_on_its_way_is_synced_before_its_row_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[str] = set()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", fsync)
    with closing(Store.open(tmp_path)) as store:
        at_commit: list[set[str]] = []
        store._connection.set_trace_callback(lambda text: at_commit.append(set(synced)) if text == "COMMIT" else None)
        assert store.take(_batch(1, 5)).stored == 10
        files = {str(path) for path in tmp_path.rglob("*.jpg")}
        folders = {str(tmp_path), *(str(path) for path in (tmp_path / "thumbnails").rglob("*") if path.is_dir())}
        assert len(files) == 5
        assert files | folders | {str(tmp_path / "thumbnails")} <= at_commit[0]


def test_a_picture_that_the_disk_refuses_costs_its_device_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if "cage-2" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with closing(Store.open(tmp_path)) as store:
        taken = store.take(_batch(1, 4) + _batch(1, 4, "cage-2"))
        assert (taken.stored, taken.refused) == (12, 4)
        promises = {device: store.committed(device).epochs[0] for device in ("cage-1", "cage-2")}
        assert promises["cage-1"].thumbnails_through == 4
        assert promises["cage-2"].through == 4
        assert promises["cage-2"].thumbnails_through == 0


def test_after_a_message_at_fault_the_others_are_taken_one_by_one_for_a_while(tmp_path: Path) -> None:
    """Its batch is taken twice, those that follow once, and nothing of either way is left of the other."""
    with closing(Store.open(tmp_path)) as store:
        store.take(_batch(1, 2))
        shutil.rmtree(tmp_path / "thumbnails" / "cage-1")
        (tmp_path / "thumbnails" / "cage-1").write_text("in the way")
        taken = store.take(_batch(3, 4) + _batch(1, 2, "cage-2"))
        assert (taken.stored, taken.refused) == (6, 2)
        assert _stored(tmp_path) == 2
        statements: list[str] = []
        store._connection.set_trace_callback(statements.append)
        for number in range(ONE_BY_ONE):
            statements.clear()
            store.take(_batch(10 + number, 10 + number, "cage-3"))
            assert ("SAVEPOINT message" in statements) == (number < ONE_BY_ONE - 1)
        assert store.committed("cage-3").epochs[0].holes == ((1, 9),)


def test_of_a_batch_that_the_machine_fails_no_picture_and_no_promise_is_left(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.take(_batch(1, 1))
        store._connection.set_authorizer(_refuse(sqlite3.SQLITE_TRANSACTION, "COMMIT"))
        with pytest.raises(StorageError):
            store.take(_batch(2, 3))
        store._connection.set_authorizer(None)
        assert store.committed("cage-1").epochs[0].through == 1
        folder = tmp_path / "thumbnails"
        kept = len(list(folder.rglob("*.jpg")))  # whether a COMMIT that failed went well is not known
        store._connection.set_authorizer(_refuse(sqlite3.SQLITE_INSERT, "accounts"))
        with pytest.raises(StorageError):
            store.take(_batch(4, 5))
        store._connection.set_authorizer(None)
        assert len(list(folder.rglob("*.jpg"))) == kept
        assert store.committed("cage-1").epochs[0].through == 1
        assert store.take(_batch(2, 5)).stored == 8
