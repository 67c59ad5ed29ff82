"""One device's or file's trouble stays its own, and what may pass by itself is not a person's."""

import errno
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge.contract.committed import CommittedEpoch
from edge.errors import OperatorError, StorageError
from station.store.openable import why_not_open
from station.store.quota import describe_quotas
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.station import samples
from tests.station.samples import arrival, picture_arrival


def query(data: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(data / "station.db")) as connection:
        return connection.execute(sql).fetchall()


def promise(store: Store, device: str) -> CommittedEpoch:
    return store.committed(device).epochs[0]


def troubles(data: Path) -> list[str]:
    with closing(open_for_reading(data)) as connection:
        return describe_quotas(connection)


@pytest.mark.parametrize("how", ["missing", "unreadable"])
def test_an_early_picture_whose_file_is_gone_or_unreadable_stops_no_reading(tmp_path: Path, how: str) -> None:
    wrong, right = samples.picture(1, shade=10), samples.picture(1, shade=200)
    with closing(Store.open(tmp_path)) as store:
        store.take([picture_arrival(wrong), picture_arrival(right)])
        [file] = (tmp_path / "thumbnails").rglob("*.jpg")
        file.unlink()
        if how == "unreadable":
            file.mkdir()  # nobody, root neither, can read it as a file
        taken = store.take([arrival(samples.reading(1, thumbnail=right), 1), arrival(samples.event(2), 2)])
        assert (taken.stored, taken.refused) == (2, 0)
        assert promise(store, "cage-1").through == 2
        [(path, size)] = query(tmp_path, "SELECT path, bytes FROM thumbnails")
        assert (tmp_path / path).read_bytes() == right
        assert size == len(right)


def test_a_device_whose_folder_cannot_be_written_holds_up_nobody_and_keeps_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "thumbnails").mkdir()
    (tmp_path / "thumbnails" / "cage-1").write_bytes(b"a file where the folder belongs")
    jpeg, others = samples.picture(1), samples.picture(1, device="cage-2")
    with closing(Store.open(tmp_path)) as store:
        taken = store.take(
            [
                arrival(samples.reading(1, thumbnail=jpeg), 1),
                picture_arrival(jpeg),
                picture_arrival(others, device="cage-2"),
                arrival(samples.event(2), 2),
            ]
        )
        assert (taken.stored, taken.refused) == (3, 1)
        assert [alarm for alarm in taken.alarms if "thumbnails/cage-1" in alarm and "correct the folder" in alarm]
        assert promise(store, "cage-1").through == 2
        assert promise(store, "cage-1").thumbnail_holes == ((1, 1),)
        assert promise(store, "cage-2").thumbnails_through == 1
        assert ["cage-1" in sentence and "folder" in sentence for sentence in troubles(tmp_path)] == [True]
        (tmp_path / "thumbnails" / "cage-1").unlink()
        assert store.take([picture_arrival(jpeg)]).stored == 1
        assert promise(store, "cage-1").thumbnail_holes == ()
        assert troubles(tmp_path) == []


def test_a_right_picture_that_waits_among_the_conflicts_stays_there_while_its_folder_cannot_be_written(
    tmp_path: Path,
) -> None:
    wrong, right = samples.picture(1, shade=10), samples.picture(1, shade=200)
    with closing(Store.open(tmp_path)) as store:
        store.take([picture_arrival(wrong), picture_arrival(right)])
        (tmp_path / "thumbnails" / "cage-1").rename(tmp_path / "aside")
        (tmp_path / "thumbnails" / "cage-1").write_bytes(b"")
        assert store.take([arrival(samples.reading(1, thumbnail=right), 1)]).stored == 1
        assert query(tmp_path, "SELECT content FROM conflicts") == [(right,)]


def test_a_picture_whose_file_was_deleted_comes_back_when_it_is_sent_again(tmp_path: Path) -> None:
    jpeg = samples.picture(1)
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(samples.reading(1, thumbnail=jpeg), 1), picture_arrival(jpeg)])
        for damage in (lambda file: file.unlink(), lambda file: file.write_bytes(jpeg[:-1])):
            [file] = (tmp_path / "thumbnails").rglob("*.jpg")
            damage(file)
            assert store.take([picture_arrival(jpeg)]).stored == 1
            assert query(tmp_path, "SELECT count(*) FROM thumbnails") == [(1,)]
            [(path,)] = query(tmp_path, "SELECT path FROM thumbnails")
            assert (tmp_path / path).read_bytes() == jpeg
            assert store.take([picture_arrival(jpeg)]).known == 1


def test_a_full_disk_is_no_folders_fault(tmp_path: Path) -> None:
    """Then nothing is acknowledged: what is tried again is the whole batch."""
    from station.store.picture import is_of_one_folder

    assert is_of_one_folder(tmp_path, PermissionError(errno.EACCES, "Permission denied"))
    assert not is_of_one_folder(tmp_path, OSError(errno.ENOSPC, "No space left on device"))
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thumbnails").write_bytes(b"")
    assert not is_of_one_folder(tmp_path / "x", NotADirectoryError(errno.ENOTDIR, "Not a directory"))


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EMFILE])
def test_what_a_disk_may_get_over_is_waited_for(tmp_path: Path, number: int) -> None:
    assert isinstance(why_not_open(tmp_path, OSError(number, "fault")), StorageError)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP])
def test_a_wrong_path_or_right_is_a_persons(tmp_path: Path, number: int) -> None:
    assert isinstance(why_not_open(tmp_path, OSError(number, "fault")), OperatorError)


def test_a_database_that_another_program_holds_is_a_passing_fault(tmp_path: Path) -> None:
    Store.open(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "station.db")) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        with closing(sqlite3.connect(tmp_path / "station.db", timeout=0)) as second:
            with pytest.raises(sqlite3.OperationalError) as raised:
                second.execute("PRAGMA journal_mode=WAL")
    assert isinstance(why_not_open(tmp_path, raised.value), StorageError)
