"""Whether the server keeps what it has committed over a power cut: only that may release a record on its device."""

from __future__ import annotations

from typing import Any, Final

import psycopg

from edge.errors import OperatorError
from station.store.postgres.address import Address

_ASKED: Final = ("fsync", "synchronous_commit", "full_page_writes", "synchronous_standby_names")


def check_durability(session: psycopg.Connection[Any], address: Address) -> list[str]:
    """Return sentences on what of the server's settings is weaker than it should be.

    Raises:
        OperatorError: a power cut may take what was acknowledged, and `database_durability` is not `relaxed`.
    """
    found = {name: _setting(session, name) for name in _ASKED}
    weak = [
        f"{name} = off: {what}"
        for name, what in (
            ("fsync", "a power cut loses what was committed, or the whole database"),
            ("full_page_writes", "a power cut may leave pages half written"),
        )
        if found[name] == "off"
    ]
    if found["synchronous_commit"] == "off":
        weak.append("synchronous_commit = off: a crash loses the last commits")
    if weak and address.database_durability != "relaxed":
        raise OperatorError(
            f"{address.shown}: the server does not keep what it commits ({'; '.join(weak)}). The devices delete what "
            "is acknowledged: set it to on, or write `database_durability: relaxed` into the station's settings to "
            "take the risk"
        )
    said = [f"{address.shown}: {text}; taken because of database_durability: relaxed" for text in weak]
    if found["synchronous_standby_names"] and found["synchronous_commit"] in ("local", "remote_write"):
        said.append(
            f"{address.shown}: synchronous_commit = {found['synchronous_commit']}: a standby that takes over may lack "
            "the last commits; on would wait for it"
        )
    return said


def _setting(session: psycopg.Connection[Any], name: str) -> str:
    row = session.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return "" if row is None else str(row[0])
