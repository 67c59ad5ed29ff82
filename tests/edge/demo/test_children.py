"""The demo's children end with it, whenever it is interrupted."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.demo.children import Children
from tests.harness.child import python
from tests.harness.waiting import wait_until

_SLEEPS = python("-c", "import time; time.sleep(600)")


class _Interrupts(Mapping[str, str]):
    """An environment of one variable that is interrupted while it is read: in the middle of a start."""

    def __iter__(self) -> Iterator[str]:
        """Return its name, after a Ctrl-C."""
        signal.raise_signal(signal.SIGINT)
        return iter(("NAME",))

    def __getitem__(self, name: str) -> str:
        """Return its value."""
        return "value"

    def __len__(self) -> int:
        """Return the number of variables."""
        return 1


def _pid(children: Children, name: str) -> int:
    return children._running[name].pid


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_in_the_middle_of_a_start_leaves_no_child_behind(tmp_path: Path) -> None:
    started: list[int] = []

    def interrupted() -> None:
        with Children(tmp_path) as children:
            try:
                children.start("one", _SLEEPS, _Interrupts())
            finally:
                started.append(_pid(children, "one"))

    with _python_answers_sigint(), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not _alive(started[0])


def test_a_second_ctrl_c_waits_until_every_child_has_ended(tmp_path: Path) -> None:
    """The child that is ended first takes a second, in which the second Ctrl-C comes."""
    slow = "import signal, time; signal.signal(15, lambda *_: (time.sleep(1), exit())); print('on', flush=True)"
    pids: list[int] = []

    def interrupted() -> None:
        with Children(tmp_path) as children:
            children.start("first", _SLEEPS)
            children.start("slow", python("-c", f"{slow}; time.sleep(600)"))
            pids.extend([_pid(children, "first"), _pid(children, "slow")])
            wait_until(lambda: "on" in children.log("slow"))
            signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
            signal.setitimer(signal.ITIMER_REAL, 0.2)

    with _python_answers_sigint(), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [_alive(pid) for pid in pids] == [False, False]


@contextmanager
def _python_answers_sigint() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGINT, also where the suite was started by a shell that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
