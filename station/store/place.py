"""Where a log lies, as a person names it on a command line: a folder, or the URL of a database."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

from edge.errors import OperatorError, StorageError
from station.store import schema
from station.store.batches import Batches
from station.store.postgres.address import Address, is_url, read_address


@dataclass(frozen=True, slots=True)
class LogPlace:
    """One of the two: folder, which may say itself that its log lies on PostgreSQL, or address."""

    folder: Path | None
    address: Address | None = None

    def __str__(self) -> str:
        """Return it as it was named."""
        return self.address.shown if self.address is not None else str(self.folder)

    def has_log(self) -> bool:
        """Return whether the folder holds a log, or names one; of a URL that is seen when it is opened.

        Raises:
            OperatorError: what the folder says of its database cannot be used.
        """
        return self.folder is None or schema.has_log(self.folder)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hand out a connection that reads.

        Raises:
            OperatorError, StorageError: there is no log, or it cannot be opened.
        """
        opened = (
            schema.on_postgres(self.address, reading=True) if self.address else schema.open_for_reading(self._folder)
        )
        with closing(opened) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Hand out a connection that writes where no station logs meanwhile; the log is made where there is none.

        Raises:
            OperatorError, StorageError: a station logs there, or the place cannot be opened.
        """
        if self.address is not None:
            with closing(schema.on_postgres(self.address, reading=False)) as connection:
                _hold(connection, str(self))
                yield connection
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "station.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OperatorError(f"{self}: a cageclock-station run uses this folder; stop it first") from error
            with closing(schema.open_for_writing(self._folder)) as connection:
                _hold(connection, str(self))
                yield connection

    @property
    def _folder(self) -> Path:
        assert self.folder is not None
        return self.folder


def read_place(text: str, more: Mapping[str, str] = MappingProxyType({})) -> LogPlace:
    """Return the place of a word of a command line. more: what else is said of a URL, as of an `Address`.

    Raises:
        OperatorError: it is a URL that cannot be used.
    """
    if not is_url(text):
        return LogPlace(Path(text))
    return LogPlace(None, read_address({**more, "database": text}, "the command line"))


def _hold(connection: sqlite3.Connection, where: str) -> None:
    if not isinstance(connection, sqlite3.Connection) and not cast(Batches, connection).hold_log():
        raise StorageError(f"{where}: a station logs into this database; stop it first")
