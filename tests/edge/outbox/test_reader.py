"""What another process, of another user, sees of the outbox."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config import tree
from edge.outbox import Outbox
from edge.outbox.reader import Reader
from tests.harness.waiting import wait_until

SETTINGS = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)
WRITER = """
import sys
from pathlib import Path
from tests.edge.outbox.conftest import make_reading
from edge.config import tree
from edge.outbox import Outbox
settings = tree.Outbox(max_mb=16, min_free_mb=0, reserve_mb=0)
outbox = Outbox.open(Path(sys.argv[1]), settings, device_id="cage07", serial="s")
for _ in sys.stdin:
    print(*outbox.append_reading(make_reading()).key, flush=True)
"""


def test_a_reader_sees_each_row_that_another_process_appends_and_its_picture(tmp_path):
    script = WRITER.format(tests=str(Path(__file__).parent))
    reader = Reader(tmp_path / "outbox.db")
    assert not reader.changed(), "nothing is there yet"
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(5):
            child.stdin.write("\n")
            child.stdin.flush()
            epoch, seq = child.stdout.readline().split()
            assert reader.changed()
            assert not reader.changed()
            row = reader.newest_reading()
            assert row is not None
            assert (row.epoch, row.seq) == (epoch, int(seq))
            assert row.thumbnail is not None
            assert reader.picture(row.thumbnail) is not None
        child.stdin.close()
    assert [(held.first_held, held.last) for held in reader.epochs()] == [(1, 5)]
    reader.close()


def test_a_reader_at_rest_does_not_keep_the_journal_from_being_written_back(tmp_path, reading):
    outbox = Outbox.open(tmp_path, SETTINGS, device_id="cage07", serial="s")
    reader = Reader(tmp_path / "outbox.db")
    for _ in range(200):
        outbox.append_reading(reading(None, detail="x" * 10_000))
        assert reader.changed()
        reader.newest_reading()
    assert (tmp_path / "outbox.db-wal").stat().st_size < 2_000_000
    reader.close()
    outbox.close()


@pytest.fixture
def shared_folder():
    """Return a folder as the packaged units share it: two users, one group, files 0660 by the group's right."""
    if os.geteuid() != 0:
        pytest.skip("becoming two other users needs root")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        os.chown(name, 0, GROUP)
        Path(name).chmod(0o2770)
        yield Path(name)


CAPTURE, PUBLISH, GROUP = 64101, 64102, 64100


def as_user(user: int, act: Callable[[], object]) -> int:
    """Return the exit code of a child that becomes the user, with the units' umask, and acts."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(user)
            os.umask(0o007)
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_publisher_of_another_user_that_reads_while_capture_rests_does_not_lock_it_out(shared_folder, reading):
    def capture() -> None:
        outbox = Outbox.open(shared_folder, SETTINGS, device_id="cage07", serial="s")
        outbox.append_reading(reading())
        outbox.close()

    def publish_for_a_while() -> None:
        reader = Reader(shared_folder / "outbox.db")
        assert reader.changed()
        assert reader.count() == 1
        (shared_folder / "read").touch()
        # An outbox that opens may count as a change before its record does: the next start's first one and its reading.
        wait_until(lambda: reader.changed() and reader.count() == 3)

    assert as_user(CAPTURE, capture) == 0
    publisher = os.fork()
    if publisher == 0:
        os._exit(as_user(PUBLISH, publish_for_a_while))
    wait_until((shared_folder / "read").exists)
    assert as_user(CAPTURE, capture) == 0, "the index that the reader made is the writer's too"
    assert os.waitstatus_to_exitcode(os.waitpid(publisher, 0)[1]) == 0


def test_the_publishers_side_loads_neither_numpy_nor_the_image_library():
    code = "import edge.outbox.reader, edge.outbox.publish_file, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "PIL"} & {name.split(".")[0] for name in loaded}
