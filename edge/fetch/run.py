"""`cageclock fetch`: a loop that looks for a wish every few seconds, until a signal ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from edge.bundle.wish import FOLDER
from edge.config.tree import Config
from edge.contract.service.systemd_notify import notify
from edge.contract.service.unexpected import Unexpected
from edge.errors import OperatorError
from edge.fetch.download import Paused
from edge.fetch.fetcher import Fetcher
from edge.outbox.lock import WriterLock
from edge.timing.clock import SystemClock

LOOK_S = 2.0


def run(config: Config, *, once: Callable[[Fetcher], bool] | None = None, unexpected: Unexpected | None = None) -> int:
    """Fetch what is wished for until SIGTERM or SIGINT, and return 0.

    once: asked after each cycle whether to end, for tests. unexpected: with other pauses, for tests.

    Raises:
        OperatorError: the folder cannot be used, or another fetcher runs.
        DeviceError: one unforeseen exception came after the other.
    """
    folder = Path(config.state_dir) / FOLDER
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"{folder}: cannot be made: {error.strerror}; correct its owner") from error
    lock = WriterLock(folder / "lock", os.fspath(folder))
    stop: list[int] = []
    unexpected = unexpected or Unexpected("fetch")

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}

    def alive() -> None:
        notify("WATCHDOG=1")
        if stop:
            raise Paused

    with contextlib.suppress(OSError):
        os.nice(10)
    try:
        fetcher = Fetcher(config, SystemClock(), alive=alive)
        notify("READY=1")
        print("cageclock: fetch is running", file=sys.stderr, flush=True)
        while not stop:
            try:
                fetcher.cycle()
            except OperatorError:
                raise
            except Exception as error:  # noqa: BLE001 - the wish stands on the disk, and is taken up again
                text, _ = unexpected.note(error)
                fetcher.note_fault(text)
                notify(f"WATCHDOG=1\nSTATUS={text[:200]}")
                unexpected.wait(lambda: bool(stop))
            notify("WATCHDOG=1")
            if once is not None and once(fetcher):
                break
            until_s = time.monotonic() + LOOK_S
            while not stop and time.monotonic() < until_s:
                time.sleep(0.2)
    finally:
        notify("STOPPING=1")
        lock.release()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0
