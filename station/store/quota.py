"""How much one device may have the station keep of what is not its log, and what became of the rest.

Whoever can publish under a device's name can send without end what nobody can read. Over a quota of quarantine or
conflicts, digest, head and reason are kept and the body goes. Over a quota of numbers (devices, epochs, gaps) a message
is not taken at all: nothing is accounted for, so its device keeps it. Either is counted here and shown by `status`.
"""

from __future__ import annotations

import sqlite3
from typing import Annotated, Final

import msgspec

from edge.contract.base import Struct

Limit = Annotated[int, msgspec.Meta(ge=1, le=100_000_000)]
UNKNOWN: Final = ""
"""The device under which messages of devices over the quota are counted: their names are not kept either."""
FOLDER: Final = "folder"
"""Under which pictures are counted whose device's folder cannot be written."""

USAGE: Final = """
-- Per device and kind of quota: what is kept (whole), and how often something came over the quota.
CREATE TABLE IF NOT EXISTS usage (
    device TEXT NOT NULL, what TEXT NOT NULL, kept INTEGER NOT NULL DEFAULT 0, kept_bytes INTEGER NOT NULL DEFAULT 0,
    over INTEGER NOT NULL DEFAULT 0, over_at REAL, PRIMARY KEY (device, what)
) WITHOUT ROWID"""
_KEPT = """
INSERT INTO usage (device, what, kept, kept_bytes)
    SELECT device, '{0}', count(*), sum(length(content)) FROM {0} WHERE length(content) > 0 GROUP BY device"""
_SEEN = """
INSERT INTO usage (device, what)
    SELECT device, 'seen' FROM (SELECT device FROM accounts UNION SELECT device FROM device_state
        UNION SELECT device FROM quarantine UNION SELECT device FROM conflicts)"""


class Limits(Struct, frozen=True, kw_only=True):
    """The quotas: of the station (devices), of each device, and of each epoch (gaps).

    epochs: a device begins one at each start of a process that comes to a record. A card may hold 10,000 of them, of
    starts that each took one reading, and a unit that is restarted at every reading begins some hundred a day.
    gaps: unconnected ranges of numbers in an epoch. A device has 100 messages on the way at most; a thumbnail that
    never comes makes one too.
    """

    devices: Limit = 4_096
    epochs: Limit = 100_000
    gaps: Limit = 50_000
    quarantine_rows: Limit = 10_000
    quarantine_mb: Limit = 64
    conflict_rows: Limit = 10_000
    conflict_mb: Limit = 64


class OverQuota(Exception):
    """A message that is not taken, because its device (or the station) has as much as the quota allows.

    device: under which name it is counted. what: devices, epochs or gaps. limit: the quota.
    """

    def __init__(self, device: str, what: str, limit: int) -> None:
        """Keep the parts; the text is for the journal."""
        self.device, self.what, self.limit = device, what, limit
        super().__init__(f"over the quota of {limit} {what}")


class Quota:
    """Counts inside the caller's transaction, so that what is rolled back was never counted."""

    def __init__(self, connection: sqlite3.Connection, limits: Limits) -> None:
        """Make the table where it is absent, from what the database holds."""
        self._connection = connection
        self.limits = limits
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'usage'").fetchone():
            statements = (USAGE, _KEPT.format("quarantine"), _KEPT.format("conflicts"), _SEEN)
            connection.executescript(f"BEGIN IMMEDIATE;{';'.join(statements)};COMMIT;")
        rows = connection.execute("SELECT device FROM usage WHERE what = ? AND over > 0", (FOLDER,)).fetchall()
        self._in_trouble = {device for (device,) in rows}
        self._admitted: set[str] = set()

    def begin(self) -> None:
        """Begin a batch: which devices are known is asked again, because an earlier batch may have been taken back."""
        self._admitted.clear()

    def admit(self, device: str) -> None:
        """Note a device that is heard for the first time.

        Raises:
            OverQuota: there are as many devices as the quota allows.
        """
        if device in self._admitted:
            return
        known = self._connection.execute("SELECT 1 FROM usage WHERE device = ? AND what = 'seen'", (device,)).fetchone()
        if known is not None:
            self._admitted.add(device)  # a new one only at its second message: its first may yet be taken back
        else:
            (devices,) = self._connection.execute("SELECT count(*) FROM usage WHERE what = 'seen'").fetchone()
            if devices >= self.limits.devices:
                raise OverQuota(UNKNOWN, "devices", self.limits.devices)
            self._connection.execute("INSERT INTO usage (device, what) VALUES (?, 'seen')", (device,))

    def keeps_body(self, device: str, what: str, size: int, received_at: float) -> tuple[bool, int]:
        """Return whether one more body of `size` bytes is kept, and how many were not until now, this one included.

        what: quarantine or conflicts.
        """
        rows, megabytes = (
            (self.limits.quarantine_rows, self.limits.quarantine_mb)
            if what == "quarantine"
            else (self.limits.conflict_rows, self.limits.conflict_mb)
        )
        found = self._connection.execute(
            "SELECT kept, kept_bytes FROM usage WHERE device = ? AND what = ?", (device, what)
        ).fetchone()
        kept, kept_bytes = found or (0, 0)
        if kept >= rows or kept_bytes + size > megabytes << 20:
            return False, self.count_over(device, what, received_at)
        self._connection.execute(
            "INSERT INTO usage (device, what, kept, kept_bytes) VALUES (?, ?, 1, ?) "
            "ON CONFLICT DO UPDATE SET kept = usage.kept + 1, kept_bytes = usage.kept_bytes + excluded.kept_bytes",
            (device, what, size),
        )
        return True, 0

    def give_back(self, device: str, what: str, size: int) -> None:
        """Note that a kept body was taken out again."""
        self._connection.execute(
            "UPDATE usage SET kept = kept - 1, kept_bytes = kept_bytes - ? WHERE device = ? AND what = ?",
            (size, device, what),
        )

    def count_over(self, device: str, what: str, received_at: float) -> int:
        """Return how often something came over this quota, this time included."""
        self._connection.execute(
            "INSERT INTO usage (device, what, over, over_at) VALUES (?, ?, 1, ?) "
            "ON CONFLICT DO UPDATE SET over = usage.over + 1, over_at = excluded.over_at",
            (device, what, received_at),
        )
        (over,) = self._connection.execute(
            "SELECT over FROM usage WHERE device = ? AND what = ?", (device, what)
        ).fetchone()
        if what == FOLDER:
            self._in_trouble.add(device)
        return int(over)

    def end_trouble(self, device: str) -> None:
        """Note that a picture of a device was stored: its folder can be written again."""
        if device in self._in_trouble:
            # It stays in the set: whether this transaction will be committed is not known here.
            self._connection.execute("UPDATE usage SET over = 0 WHERE device = ? AND what = ?", (device, FOLDER))


def is_worth_an_alarm(over: int) -> bool:
    """Return whether the journal hears of it: the first time, then at every power of ten."""
    return str(over).strip("0") == "1"


def describe_quotas(connection: sqlite3.Connection) -> list[str]:
    """Return a sentence for each quota that was reached and each folder that cannot be written, by device."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'usage'").fetchone():
        return []  # a database that no station of this version has opened yet
    rows = connection.execute("SELECT device, what, kept, over FROM usage WHERE over > 0 ORDER BY device, what")
    return [_sentence(*row) for row in rows.fetchall()]


def _sentence(device: str, what: str, kept: int, over: int) -> str:
    if what in ("quarantine", "conflicts"):
        return f"quota reached: {device}: {what}: {kept} kept whole, of {over} more only digest, head and reason"
    if what == FOLDER:
        return f"{device}: {over} pictures not stored, as its folder under thumbnails/ cannot be written; it keeps them"
    who = "devices never heard before" if device == UNKNOWN else device
    return f"quota reached: {who}: {what}: {over} messages not accounted for; their devices keep them"
