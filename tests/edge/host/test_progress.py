"""Progress is for people: on a terminal it is redrawn and wiped, elsewhere a line now and then, or nothing."""

import io
import os
import pty
import time
from collections.abc import Iterator

import pytest

from edge.host.progress import progress


def slowly(count: int) -> Iterator[int]:
    for number in range(count):
        time.sleep(0.3)
        yield number


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, total: int | None) -> tuple[list[int], str]:
    """Return what came through, and what a terminal was sent meanwhile."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        came = list(progress(slowly(4), total, "film.mp4"))
    sent = b""
    with os.fdopen(ours, "rb", buffering=0) as seen:
        while chunk := _read(seen):
            sent += chunk
    return came, sent.decode()


def _read(terminal: io.RawIOBase) -> bytes:
    """Return what comes next; nothing at the end, for which Linux has an error (EIO)."""
    try:
        return terminal.read(10_000) or b""
    except OSError:
        return b""


def test_a_terminal_sees_how_long_it_takes_and_then_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    came, sent = on_a_terminal(monkeypatch, 20)
    assert came == [0, 1, 2, 3]
    shown = sent.split("\r")
    assert shown[1].startswith("film.mp4: 2/20, ")
    assert "s left" in shown[1]
    assert shown[-1] == "\x1b[K"


@pytest.mark.parametrize("total", [None, 1])
def test_no_time_is_shown_where_the_length_is_unknown_or_wrong(monkeypatch: pytest.MonkeyPatch, total) -> None:
    came, sent = on_a_terminal(monkeypatch, total)
    assert came == [0, 1, 2, 3]
    assert "film.mp4: 2, " in sent
    assert "left" not in sent


def test_elsewhere_a_line_is_written_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(slowly(3), 5, "crops", done=2, line_s=0.1)) == [0, 1, 2]
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "crops: 3/5",
        "crops: 4/5",
        "crops: 5/5",
    ]


def test_work_that_is_quick_still_leaves_its_last_line_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(2), 2, "parts")) == [0, 1]
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == ["parts: 2/2"]


def test_a_command_in_a_pipeline_can_ask_for_silence(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(slowly(3), 3, "film.mp4", line_s=None)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
