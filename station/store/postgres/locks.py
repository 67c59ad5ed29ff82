"""The locks that this program takes in a database, which hold while a session or a transaction lasts."""

from __future__ import annotations

from typing import Final

LOCK: Final = 0x43414745
"""First number of each."""
WRITERS: Final = 1
"""One transaction that writes at a time, as on SQLite."""
LOGGER: Final = 2
"""One logger at a time."""
