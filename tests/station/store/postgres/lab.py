"""A station's folder on either database, and what its log holds."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from edge.contract.committed import CommittedEpoch
from station.store import schema
from station.store.body import unpack_body
from station.store.postgres.address import Address
from station.store.postgres.place import keep_address
from station.store.postgres.tables import tables
from station.store.store import Store
from tests.station.samples import EPOCH

OWN = ("id", "rowid")
"""Numbers that a database gives by itself."""
NOT_OF_THE_LOG = ("station_db", "version", "registry", "copied_from")
"""In `meta`: what differs between any two databases."""


class Lab:
    """One folder. url: of its database, None for SQLite."""

    def __init__(self, data: Path, url: str | None, durability: str = "relaxed") -> None:
        self.data, self.url = data, url
        if url is not None:
            keep_address(data, Address(database=url, database_durability=durability))

    @contextmanager
    def store(self, **options: Any) -> Iterator[Store]:
        """Open the store for a block."""
        with closing(Store.open(self.data, **options)) as store:
            yield store

    def query(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, as the station's own readers see them."""
        with closing(schema.open_for_reading(self.data)) as connection:
            return [tuple(row) for row in connection.execute(sql, parameters).fetchall()]

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table but what differs between any two databases."""
        found = {}
        with closing(schema.open_for_reading(self.data)) as connection:
            made = {row[0] for row in connection.execute("SELECT name FROM main.sqlite_master").fetchall()}
            for name, table in tables().items():
                if name not in made:  # SQLite's is made by the first animal that moves
                    found[name] = []
                    continue
                columns = [column for column in table.columns if column not in OWN]
                rows = connection.execute(f"SELECT {', '.join(columns)} FROM main.{name}").fetchall()
                kept = [tuple(row) for row in rows if name != "meta" or row[0] not in NOT_OF_THE_LOG]
                found[name] = sorted(kept, key=repr)
        return found

    def stored(self) -> dict[int, bytes]:
        """Return the bodies of the epoch's records by number."""
        rows = self.query("SELECT seq, body FROM main.records WHERE epoch = ?", (EPOCH,))
        return {seq: unpack_body(bytes(body)) for seq, body in rows}


def promise(store: Store, epoch: str = EPOCH, device: str = "cage-1") -> CommittedEpoch:
    """Return what the device is promised of an epoch."""
    return next(found for found in store.committed(device).epochs if found.epoch == epoch)
