"""In a terminal capture and publish show that they live; elsewhere, and with -q, they do not."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.edge.capture.running import ROOT, write_settings

TINY = ROOT / "tests/data/tiny.bundle"


def in_a_terminal(*words: str, until: bytes | None = None) -> bytes:
    """Return what a command writes on standard output that is a terminal; it is ended once `until` came."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", *words],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    os.close(theirs)
    said = b""
    try:
        while until is None or until not in said:
            part = os.read(ours, 4096)
            if not part:
                break
            said += part
    except OSError:  # Linux: the other side is closed
        pass
    finally:
        process.terminate()
        process.wait(60)
        os.close(ours)
    return said


def test_capture_says_a_line_a_reading(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, camera="simulated: {faults: {2: dark}}", bundle=TINY)
    words = ("capture", "--config", str(settings), "--stepped-from", "2026-01-05T20:00:00+00:00", "--captures", "2")
    model, *lines = in_a_terminal(*words).decode().splitlines()
    assert "cageclock: model tiny" in model
    assert len(lines) == 2
    assert all(line.startswith("2026-01-05 20:") for line in lines)
    assert " dark " in lines[1]
    assert b"2026-01-05" not in in_a_terminal(*words, "-q")
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli", *words], capture_output=True, cwd=ROOT, timeout=120, check=True
    )
    assert b"2026-01-05" not in done.stdout, "no terminal, no lines: the journal has what matters"


def test_publish_says_how_many_records_wait(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, more="mqtt: {host: 127.0.0.1, port: 1, station: lab1}\n")
    said = in_a_terminal("publish", "--config", str(settings), until=b"on the way")
    assert b"not connected; 0 records not yet stored by station lab1" in said
