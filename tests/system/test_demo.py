"""`cageclock demo` runs the whole path by itself, with either broker, and Ctrl-C ends it at any moment."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.broker]


def demo(out: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edge.cli", "demo", "--out", str(out), *options],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


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
    said, errors = demo(out, "--cages", "2", "--captures", "6", "--broker", broker).communicate(timeout=240)
    assert "12 in " in said, said + errors
    assert "0 missing" in said
    assert f"over {broker}" in said
    assert said.count("trained on simulated mice; no biological claim") >= 2
    assert (out / "curves.png").stat().st_size > 10_000
    assert len(list((out / "station/thumbnails").rglob("*.jpg"))) == 12
    assert running_in(out) == []


@pytest.mark.parametrize("after_s", [0.5, 4.0])
def test_ctrl_c_ends_it_cleanly_and_leaves_nothing_running(tmp_path: Path, after_s: float) -> None:
    out = tmp_path / "demo"
    process = demo(out, "--cages", "2", "--captures", "200")
    _wait_for_python(process.pid)
    time.sleep(after_s)
    os.kill(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert running_in(out) == []
    if after_s > 1:
        assert "stopped; what was logged so far is in" in said


def _wait_for_python(pid: int) -> None:
    """Return once the interpreter takes SIGINT; before, on a busy machine, the system ends it unasked."""
    for _ in range(600):
        caught = re.search(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text())
        if caught and int(caught[1], 16) & 1 << (signal.SIGINT - 1):
            return
        time.sleep(0.05)
    raise AssertionError("the demo did not start within 30 s")


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    process = demo(tmp_path, "--captures", "1")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert "holds other files" in errors
    assert (tmp_path / "thesis.txt").exists()
