"""`cageclock demo` runs the whole path by itself, with either broker, and Ctrl-C ends it at any moment."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.harness.child import Child, python
from tests.harness.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.broker]


def demo(out: Path, *options: str) -> Child:
    """Start a demo in a session of its own: a signal reaches it alone, as it reaches the foreground of a terminal."""
    log = out.with_name(f"{out.name}-demo.out")
    command = python("-m", "edge.cli", "demo", "--out", out, *options)
    child = Child(command, log, errors=log.with_suffix(".err"), new_session=True)
    child.start()
    return child


def running_in(folder: Path) -> list[str]:
    """The command lines of processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and path.parent.name != str(os.getpid()):
            found.append(line)
    return found


@pytest.mark.parametrize("broker", ["mosquitto", "amqtt"])
def test_every_reading_of_a_short_demo_is_logged_and_drawn(tmp_path: Path, broker: str) -> None:
    out = tmp_path / "demo"
    child = demo(out, "--cages", "2", "--captures", "6", "--broker", broker)
    child.ended(1200)
    said, errors = child.log(), child.errors()
    assert "12 in " in said, said + errors
    assert "0 missing" in said
    assert f"over {broker}" in said
    assert said.count("trained on simulated mice; no biological claim") >= 2
    assert (out / "curves.png").stat().st_size > 10_000
    assert len(list((out / "station/thumbnails").rglob("*.jpg"))) == 12
    assert running_in(out) == []


@pytest.mark.parametrize("text", ["simulated cages", "page "])
def test_ctrl_c_ends_it_cleanly_and_leaves_nothing_running(tmp_path: Path, text: str) -> None:
    out = tmp_path / "demo"
    process = demo(out, "--cages", "2", "--captures", "200")
    process.wait_for(text)
    process.send(signal.SIGINT)
    code = process.ended()
    said, errors = process.log(), process.errors()
    assert code == 0, errors
    assert "Traceback" not in errors
    assert running_in(out) == []
    assert "stopped; what was logged so far is in" in said


def test_ctrl_c_before_it_has_begun_ends_it_without_a_traceback(tmp_path: Path) -> None:
    """Half a second in, it may still load its modules (the program's own 130) or have begun (0)."""
    out = tmp_path / "demo"
    process = demo(out, "--cages", "2", "--captures", "200")
    _wait_for_python(process.pid)
    time.sleep(0.5)
    process.send(signal.SIGINT)
    code = process.ended()
    assert code in (0, 130), process.errors()
    assert "Traceback" not in process.errors()
    assert running_in(out) == []


def _wait_for_python(pid: int) -> None:
    """Return once the interpreter takes SIGINT; before, on a busy machine, the system ends it unasked."""

    def taken() -> bool:
        caught = re.search(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
        return caught is not None and int(caught[1], 16) & 1 << (signal.SIGINT - 1) != 0

    wait_until(taken)


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    process = demo(tmp_path, "--captures", "1")
    assert process.ended() == 2
    errors = process.errors()
    assert errors.count("\n") == 1
    assert "holds other files" in errors
    assert (tmp_path / "thesis.txt").exists()
