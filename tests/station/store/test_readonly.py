"""A user who may only read the station's folder can read, or hears what to do."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.errors import OperatorError
from station.store import schema
from station.store.store import Store
from tests.station import samples
from tests.station.running import ROOT

NOBODY = 65534


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's own is not, with one reading in it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        with closing(Store.open(folder / "lab")) as store:
            store.take(samples.days([(0, 100)], subject="M1"))
        yield folder / "lab"
    finally:
        (folder / "lab").chmod(0o755)
        shutil.rmtree(folder)


AS_READER = f"""
import os, sys
import station.cli, station.curves.read, station.store.schema, station.status
import station.registry.subjects, station.curves.text_table
station.cli.make_parser().format_help()  # imports what the words need
if os.geteuid() == 0:  # after the imports: the program's own folder may be closed to that user
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
sys.exit(station.cli.main(sys.argv[1:]))
"""


def as_reader(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who may read everything and write nothing."""
    return subprocess.run(
        [sys.executable, "-c", AS_READER, *map(str, words)], capture_output=True, text=True, cwd=ROOT, timeout=300
    )


def test_a_user_who_may_only_read_sees_what_a_stopped_station_holds(data: Path) -> None:
    assert not list(data.glob("*-wal"))
    data.chmod(0o555)
    assert "cage-1" in as_reader("status", "--data", data).stdout
    shown = as_reader("show", "--data", data)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "M1: C57BL/6J" in shown.stdout
    listed = as_reader("subjects", "list", "--data", data)
    assert listed.returncode == 0


def test_a_user_who_may_only_read_sees_what_a_running_station_holds(data: Path) -> None:
    with closing(Store.open(data)) as store:
        store.take(samples.days([(0, 100)], seq=2))
        data.chmod(0o555)
        assert as_reader("status", "--data", data).stdout.splitlines()[1].split()[6] == "2"


def test_after_a_hard_stop_the_user_hears_who_must_do_what(data: Path) -> None:
    with closing(Store.open(data)) as store:
        store.take(samples.days([(0, 100)], seq=2))
        shutil.copytree(data, data.parent / "copy")  # as a power cut leaves it
    killed = data.parent / "copy"
    (killed / "station.db-shm").unlink()
    killed.chmod(0o555)
    done = as_reader("status", "--data", killed)
    assert done.returncode == 2
    assert "may only read the folder, and the station's last stop was not a clean one; start" in done.stderr
    assert done.stderr.count("\n") == 1
    killed.chmod(0o755)


def test_a_database_that_this_user_may_not_read_is_named(data: Path) -> None:
    if os.geteuid() == 0:
        (data / "station.db").chmod(0o600)
    else:
        (data / "station.db").chmod(0)
    done = as_reader("show", "--data", data)
    assert done.returncode == 2
    assert "station.db: cannot be read: Permission denied; ask its owner" in done.stderr


def test_signs_that_mean_something_in_an_address_are_no_matter_in_a_folder_s_name(tmp_path: Path) -> None:
    odd = tmp_path / "50% ?mode=rw#1"
    Store.open(odd).close()
    with closing(schema.open_for_reading(odd)) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("DELETE FROM meta")
    with pytest.raises(OperatorError, match="found none"):
        schema.open_for_reading(tmp_path / "50% ")
