"""The newest readings and events that a file still holds, decoded: what a start believes of the process before it."""

from __future__ import annotations

import sqlite3

from edge.contract import jsontext
from edge.contract.reading import SCHEMA as READING_SCHEMA
from edge.contract.reading import Reading
from edge.contract.record import EVENT_SCHEMA, Event

_KINDS: dict[str, type[Reading | Event]] = {READING_SCHEMA: Reading, EVENT_SCHEMA: Event}


def read_newest(connection: sqlite3.Connection, most: int) -> list[Reading | Event]:
    """Return the readings and events among the `most` newest records, the newest first.

    Raises:
        MessageError: one of them is not what the contract says.
    """
    rows = connection.execute("SELECT schema, body FROM records ORDER BY id DESC LIMIT ?", (most,)).fetchall()
    return [jsontext.decode(body, _KINDS[schema]) for schema, body in rows if schema in _KINDS]
