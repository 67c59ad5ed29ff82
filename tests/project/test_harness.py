"""The tests' own house: what a test leaves behind is found, what is waited for is named, a busy machine is let go."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.harness import quick
from tests.harness.child import REPOSITORY, Child, python
from tests.harness.leaks import Held, left_since
from tests.harness.once import build_once
from tests.harness.waiting import wait_until


def test_a_thread_that_goes_on_is_left_behind() -> None:
    before, over = Held.now(), threading.Event()
    thread = threading.Thread(target=over.wait, name="forgotten")
    thread.start()
    assert left_since(before, 0.1) == ["thread forgotten"]
    over.set()
    thread.join()
    assert left_since(before) == []


def test_an_open_file_and_a_folder_that_was_not_closed_are_left_behind(tmp_path: Path) -> None:
    before = Held.now()
    handles = [os.open(tmp_path, os.O_RDONLY), os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY)]
    found = left_since(before, 0.1)
    assert [line.split(": ")[1] for line in found] == [str(tmp_path), str(tmp_path / "file")]
    for handle in handles:
        os.close(handle)
    assert left_since(before) == []


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found by Linux's /proc")
def test_a_grandchild_whose_parent_has_died_is_left_behind(tmp_path: Path) -> None:
    before = Held.now()
    code = "import subprocess, sys; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    with Child(python("-c", code), tmp_path / "parent.log") as parent:
        assert parent.ended() == 0
    pid = int(parent.log())
    assert left_since(before, 0.1) == [f"process {pid}: sleep 600"]
    os.kill(pid, signal.SIGKILL)
    assert left_since(before) == []


def test_a_test_that_leaves_something_fails(tmp_path: Path) -> None:
    """The fixture is the one of all tests, in a run of its own."""
    case = REPOSITORY / "tests" / "project" / f"leaving_{os.getpid()}.py"
    case.write_text("import os\ndef test_it(tmp_path):\n    os.open(tmp_path, os.O_RDONLY)\n")
    try:
        words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", tmp_path / "t", case)
        done = subprocess.run(python(*words), capture_output=True, text=True, cwd=REPOSITORY, check=False)
    finally:
        case.unlink()
    assert done.returncode == 1, done.stdout
    assert "the test has ended and this is still there: descriptor" in done.stdout


def test_what_was_waited_for_in_vain_is_named() -> None:
    readings: list[int] = []
    with pytest.raises(AssertionError, match=r"in vain for: .*len\(readings\) == 3.*it is False still"):
        wait_until(lambda: len(readings) == 3, 0.05)


def test_a_child_that_ends_early_is_not_waited_for(tmp_path: Path) -> None:
    with Child(python("-c", "raise SystemExit('no broker')"), tmp_path / "child.log") as child:
        with pytest.raises(AssertionError, match="ended with 1 before it wrote 'ready'"):
            child.wait_for("ready")
    assert "no broker" in child.report()


def _build_in_a_worker(shared: Path, number: int) -> None:
    class Factory:
        def getbasetemp(self) -> Path:
            return shared / f"popen-gw{number}"

    os.environ["PYTEST_XDIST_WORKER"] = f"gw{number}"

    def build(folder: Path) -> None:
        with (folder / "built").open("a") as file:
            file.write(f"{number}\n")

    build_once(Factory(), "costly", build)  # type: ignore[arg-type]


def test_workers_build_a_costly_folder_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_build_in_a_worker, args=(tmp_path, number)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
        worker.close()
    assert len((tmp_path / "costly/built").read_text().splitlines()) == 1


def test_the_busy_processes_end_with_the_command() -> None:
    line = ["sh", str(REPOSITORY / "tools/busy.sh"), "2", sys.executable, "-c", "raise SystemExit(7)"]
    assert subprocess.run(line, check=False).returncode == 7


def test_what_builds_the_tiny_run_comes_first_and_what_waits_for_it_behind_its_neighbours() -> None:
    files = [path for path in (REPOSITORY / "tests").rglob("test_*.py") if "def test_" in path.read_text()]
    ordered = sorted(files, key=quick.order)
    assert ordered[0].relative_to(REPOSITORY / "tests").as_posix() == quick.BUILDS_RUN
    assert quick.USES_RUN.search(ordered[0].read_text())
    training = [path for path in ordered[1:] if path.is_relative_to(REPOSITORY / "tests/training")]
    waits = [quick.order(path)[1] for path in training]
    assert waits == sorted(waits)
    assert 3 < sum(waits) < len(waits) / 2
