"""`cageclock publish`: from the settings to a loop that ends with a signal."""

from __future__ import annotations

import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from types import FrameType

from edge.config.tree import Config
from edge.contract.service.systemd_notify import notify, watchdog_limit_s
from edge.contract.service.unexpected import Unexpected
from edge.errors import CageclockError, DeviceError, DiskFull, OperatorError
from edge.host.memory import over_ceiling
from edge.outbox.publish_file import PublishFile
from edge.publish.budget import check_watchdog
from edge.publish.publisher import Publisher

WATCHDOG_S = 5.0
FULL_RETRY_S = 4.0


def run(config: Config, *, shows: bool = False, unexpected: Unexpected | None = None) -> int:
    """Publish until SIGTERM or SIGINT and return 0.

    shows: say on standard output how many records wait, whenever that changes.
    unexpected: with other pauses, for tests.

    systemd's watchdog is fed by completed cycles only; there is no other thread whose death could go unseen.

    Raises:
        OperatorError: the state directory cannot be used, a password or certificate file cannot be read, or another
            publish process runs.
        StorageError: `delivery.db` cannot be opened.
        DeviceError: it holds too much memory, or met one unforeseen exception after the other.
    """
    check_watchdog(config, watchdog_limit_s())
    state_dir = Path(config.state_dir)
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(f"state_dir: {state_dir} cannot be made: {error.strerror}; correct the path") from error
    stop: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        stop.append(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _work(config, state_dir, stop, shows, unexpected or Unexpected("publish"))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def _work(config: Config, state_dir: Path, stop: list[int], shows: bool, unexpected: Unexpected) -> None:
    """Publish until the end is asked for; after an exception that nobody foresaw all is opened anew, as by a restart.

    It is in the log with its traceback, and an event names it; the records wait on the disk.
    """
    fault = ""
    while not stop:
        try:
            _publish(config, state_dir, stop, shows, fault)
        except CageclockError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            text, news = unexpected.note(error)
            fault = f"{text}; it goes on by itself" if news else ""
            notify(f"READY=1\nWATCHDOG=1\nSTATUS={text[:200]}")
            unexpected.wait(lambda: bool(stop))
    notify("STOPPING=1")


def _publish(config: Config, state_dir: Path, stop: list[int], shows: bool, fault: str) -> None:
    """Publish until the end is asked for. fault: what ended the last try, for an event; "" for nothing."""
    delivery = _open_delivery(state_dir, config.device_id, stop)
    if delivery is None:
        return
    try:
        publisher = Publisher(config, delivery)
        try:
            if fault:
                publisher.append_event("watchdog", fault)
            _loop(publisher, stop, config.memory.publish_mb, shows)
        finally:
            publisher.close()
    finally:
        delivery.close()


def _open_delivery(state_dir: Path, device_id: str, stop: list[int]) -> PublishFile | None:
    """Return publish's file, waiting while the disk is full for it; None if the end came first.

    Ending instead would be one line a restart, and systemd gives up a unit that ends again and again.
    """
    is_reported = False
    while not stop:
        try:
            return PublishFile.open(state_dir, device_id=device_id)
        except DiskFull as error:
            if not is_reported:
                is_reported = True
                notify("READY=1")
                text = f"cageclock: {error}. publish waits for space; nothing is lost"
                print(text, file=sys.stderr, flush=True)
            notify("WATCHDOG=1\nSTATUS=waiting for space on the disk")
            for _ in range(20):
                if not stop:
                    time.sleep(FULL_RETRY_S / 20)
    return None


def _loop(publisher: Publisher, stop: list[int], ceiling_mb: float, shows: bool) -> None:
    """Cycle until the end is asked for.

    Raises:
        DeviceError: the process holds more memory than it may.
    """
    notified_s = float("-inf")
    ready, shown = False, ""
    while not stop:
        publisher.cycle()
        if shows and (text := publisher.describe()) != shown:
            shown = text
            print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", flush=True)
        if not ready:
            ready = True
            notify("READY=1")
            print("cageclock: publish is running", file=sys.stderr, flush=True)
        if time.monotonic() - notified_s >= WATCHDOG_S:
            notified_s = time.monotonic()
            notify("WATCHDOG=1")
            too_much = over_ceiling(ceiling_mb)
            if too_much is not None:
                publisher.append_event("memory_ceiling", too_much)
                raise DeviceError(f"publish: {too_much}")
