"""One file of records: what its writer remembers is where the file stands, whatever was rolled back."""

from pathlib import Path

import pytest

from edge.contract import jsontext
from edge.contract.record import Event
from edge.errors import StorageError
from edge.outbox.label import Labels
from edge.outbox.reader import Reader
from edge.outbox.record_file import Owner, RecordFile
from edge.timing.clock import SystemClock


def opened(path: Path, **owner: object) -> RecordFile:
    settled = Owner(program="tests", tables="", released=dict, **owner)
    return RecordFile(path / "own.db", settled, Labels("cage07", SystemClock()))


def append(file: RecordFile, text: str) -> tuple[str, int]:
    with file.changing():
        return file.append(file.labels.event("start", text, {}))


def fail_after_an_append(file: RecordFile) -> None:
    with file.changing():
        file.append(file.labels.event("start", "never", {}))
        raise ZeroDivisionError


def fail_with_the_card(file: RecordFile) -> None:
    with file.changing():
        file.append(file.labels.event("start", "never", {}))
        file.connection.close()  # a card that has gone takes the transaction with it


def texts(path: Path) -> list[str]:
    reader = Reader(path / "own.db")
    reader.changed()
    rows = [row for of in reader.epochs() for row in reader.rows(of.epoch, 1, of.last)]
    reader.close()
    return [jsontext.decode(row.body, Event).text for row in rows]


def test_an_epoch_and_a_number_that_were_rolled_back_are_given_again(tmp_path):
    """Memory that ran ahead would store a record under an epoch that the file does not know, or leave a hole."""
    file = opened(tmp_path)
    with pytest.raises(ZeroDivisionError):
        fail_after_an_append(file)
    assert (file.sequence.begun, file.next_seq) == (False, 1)
    first = append(file, "first")
    with pytest.raises(ZeroDivisionError):
        fail_after_an_append(file)
    assert (first[1], append(file, "second")[1]) == (1, 2)
    file.close()
    assert texts(tmp_path) == ["first", "second"]


def test_memory_is_brought_back_later_where_the_file_could_not_be_read_just_then(tmp_path):
    """The next number is not taken from memory that may have run ahead: nothing is appended until it can be read."""
    file = opened(tmp_path)
    append(file, "first")
    with pytest.raises(StorageError):
        fail_with_the_card(file)
    with pytest.raises(StorageError):
        _ = file.next_seq
    file._connect(file.path)
    assert (file.next_seq, append(file, "second")[1]) == (2, 2)
    file.close()
    assert texts(tmp_path) == ["first", "second"]


def test_a_damaged_file_gives_way_to_one_that_keeps_what_its_owner_asks_for(tmp_path):
    table, kept = "CREATE TABLE IF NOT EXISTS kept(text TEXT);", "INSERT INTO kept VALUES ('from the owner')"
    owner = {"checked_whole": True, "take_over": lambda connection, _released: connection.execute(kept)}
    file = RecordFile(
        tmp_path / "own.db", Owner(program="tests", tables=table, released=dict, **owner), Labels("a", SystemClock())
    )
    append(file, "before the damage")
    file.replace_damaged("a bit has flipped")
    assert append(file, "after it")[1] == 3, "behind the beginning of the epoch and the event of the damage"
    assert file.connection.execute("SELECT text FROM kept").fetchall() == [("from the owner",)]
    file.close()
    kept_texts = texts(tmp_path)
    assert (kept_texts[0], kept_texts[-1]) == ("before the damage", "after it")
    assert len(list(tmp_path.glob("own.db.damaged-*Z"))) == 1, "set aside, never deleted"
