"""The lab's trust statements as the station publishes them: a chain that only ever grows."""

from __future__ import annotations

import sqlite3

from edge.contract.bundle.trust import Trust, begin
from edge.errors import BundleError, OperatorError
from station.fleet.keep.history import keep


def publish_trust(connection: sqlite3.Connection, now_s: float, who: str, content: bytes) -> Trust:
    """Keep a chain file, in the caller's transaction, for the fleet process to publish, and return it.

    Raises:
        BundleError: it is no chain, does not follow from the one that is published, or is older.
        OperatorError: a package that verifies signatures is not installed.
    """
    try:
        found = begin(content)
        held = load_trust(connection)
    except ModuleNotFoundError as error:
        raise OperatorError(f"trust: {error.name} is not installed: pip install 'cageclock[station]'") from error
    if held is not None:
        # A chain of other roots would be refused by every device, one by one, days later.
        grown = held.extended(list(found.envelopes))
        if found.newest.version < held.newest.version:
            raise BundleError(
                f"trust statement: expected version {held.newest.version} or a later one, which is published, got "
                f"{found.newest.version}"
            )
        found = grown
    connection.execute("INSERT OR REPLACE INTO trust VALUES (1, ?, ?, ?)", (found.content(), who, now_s))
    keep(connection, now_s, who, "trust", f"statement {found.newest.version} of {found.newest.lab}")
    return found


def load_delays(connection: sqlite3.Connection, version: int) -> dict[str, float]:
    """Return how many seconds after it was published each device was heard to hold the newest statement."""
    row = connection.execute("SELECT at_s FROM trust").fetchone()
    if row is None:
        return {}
    rows = connection.execute("SELECT device, at_s FROM trust_held WHERE version = ?", (version,)).fetchall()
    return {one["device"]: max(0.0, one["at_s"] - row["at_s"]) for one in rows}


def load_trust(connection: sqlite3.Connection) -> Trust | None:
    """Return the chain that is published, None where there is none."""
    row = connection.execute("SELECT chain FROM trust").fetchone()
    return None if row is None else begin(row["chain"])
