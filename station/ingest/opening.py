"""Opening the store at the start: what may pass by itself is waited for, and reported meanwhile."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from edge.contract.service.systemd_notify import notify
from edge.errors import DatabaseDamaged, StorageError
from station.ingest.running import RunningFile
from station.ingest.settings import Settings
from station.store.message import one_line
from station.store.postgres.place import keep_address
from station.store.store import Store

LOG = logging.getLogger("station")
PATIENCE_S = 1.0
MAX_BACKOFF_S = 30.0


def running_file(settings: Settings) -> RunningFile:
    """Return the file in which the process says how it is."""
    return RunningFile(Path(settings.data), settings.name, f"{settings.host}:{settings.port}")


def open_store(settings: Settings, stop: threading.Event) -> Store | None:
    """Return the store as soon as it can be opened, None where the end is asked for before that.

    A database that another program holds and a disk that is full or read-only are waited for: the devices keep their
    readings meanwhile, and a unit that ended would lose nothing less.

    Raises:
        OperatorError: a path or a permission is wrong.
        DatabaseDamaged: the database is damaged.
    """
    backoff_s, running = PATIENCE_S, running_file(settings)
    if settings.address is not None:
        keep_address(Path(settings.data), settings.address)
    while not stop.is_set():
        try:
            return Store.open(
                Path(settings.data),
                max_payload_bytes=settings.max_payload_kb * 1024,
                limits=settings.quota,
                progress=say_waiting,
            )
        except DatabaseDamaged:
            raise  # only a person can put that right
        except StorageError as error:
            LOG.error("%s; trying again in %.0f s (the devices keep their readings)", error, backoff_s)
            say_waiting(str(error))
            running.note(connected=False, said=str(error))
        stop.wait(backoff_s)
        backoff_s = min(2 * backoff_s, MAX_BACKOFF_S)
    return None


def say_waiting(state: str) -> None:
    """Tell systemd that all goes as it should though nothing is logged yet: to be started again would not help."""
    notify(f"READY=1\nWATCHDOG=1\nSTATUS={one_line(state)}")
