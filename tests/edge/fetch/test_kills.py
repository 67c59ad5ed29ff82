"""The fetcher killed before any call that changes a file: the wish is carried out once."""

from __future__ import annotations

import os

import pytest

from edge.bundle.slots import ACTIVE
from edge.bundle.wish import read_fetch_state
from tests.edge.fetch.lab import Lab
from tests.edge.fetch.server import Server

CALLS = ("open", "write", "fsync", "link", "replace", "unlink")


@pytest.mark.slow
def test_a_kill_at_any_point_of_fetch_and_hand_over_loses_nothing(lab: Lab) -> None:
    """A fork that dies before its nth call to the kernel; then a fresh process brings the wish to its end."""
    with Server(lab.content) as server:
        deaths = 0
        for at in range(1, 400):
            lab.wish(server.url, rollout=f"r{at}")
            child = os.fork()
            if child == 0:
                try:
                    _die_at(at)
                    lab.cycle(times=2)
                    os._exit(0)
                finally:
                    os._exit(1)  # a fork that raises would run the rest of the tests once more
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert code in (0, -9)
            died = code == -9
            deaths += died
            fetcher = lab.fetcher()
            lab.cycle(fetcher, times=4)
            lab.unit()
            assert lab.cycle(fetcher, times=3).state == "done", (at, read_fetch_state(lab.state))
            assert lab.active()
            assert lab.inbox() == []
            if not died:
                break
            for link in (ACTIVE, "previous.bundle"):
                (lab.state / "bundles" / link).unlink(missing_ok=True)
            (lab.state / "bundles/history.json").unlink()
        assert deaths > 20, deaths


def _die_at(number: int) -> None:
    """End this process before its nth call of those that change files."""
    count = 0

    def dying(real):  # type: ignore[no-untyped-def]
        def call(*arguments, **more):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            if count == number:
                os.kill(os.getpid(), 9)
            return real(*arguments, **more)

        return call

    for name in CALLS:
        setattr(os, name, dying(getattr(os, name)))
