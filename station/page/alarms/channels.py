"""Where alarms are sent: addresses as Apprise writes them, with quiet hours and grouping. Their secrets stay inside."""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from edge.errors import OperatorError
from station.page.changes import keep_change
from station.printable import has_control_characters
from station.transaction import transaction

MOST_NAME, MOST_ADDRESS = 60, 500
GROUPS_MIN = (0, 1, 5, 15, 60)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


@dataclass(frozen=True, slots=True)
class Channel:
    """One way out. quiet_from, quiet_until: "HH:MM" in the lab's zone, both "" without quiet hours.

    group_s: so long an alarm waits for others, which then go in one message. failing_since, said: since when nothing
    could be sent, and why. waiting: how many alarms are still to be sent.
    """

    id: int
    name: str
    service: str
    urgent_only: bool
    quiet_from: str
    quiet_until: str
    group_s: float
    enabled: bool
    sent_at: datetime | None
    failing_since: datetime | None
    said: str
    waiting: int

    def is_quiet(self, at: datetime) -> bool:
        """Return whether a time, in the lab's zone, is in the quiet hours; they may go over midnight."""
        if not self.quiet_from:
            return False
        now = f"{at:%H:%M}"
        if self.quiet_from <= self.quiet_until:
            return self.quiet_from <= now < self.quiet_until
        return now >= self.quiet_from or now < self.quiet_until


def load_channels(connection: sqlite3.Connection) -> list[Channel]:
    """Return all channels by name, without their addresses."""
    rows = connection.execute(
        "SELECT c.*, (SELECT count(*) FROM outgoing o WHERE o.channel = c.id AND o.sent_s IS NULL AND o.given_up = 0) "
        "AS waiting FROM channels c ORDER BY name"
    ).fetchall()
    return [_channel(row) for row in rows]


def add_channel(
    connection: sqlite3.Connection, who: str, service: str, values: dict[str, str], *, urgent_only: bool
) -> int:
    """Keep a channel whose address was found good, and return its number.

    Raises:
        OperatorError: a value that cannot be one.
    """
    name, address = check_name(values["name"]), check_address(values["address"])
    quiet_from, quiet_until = values["quiet_from"], values["quiet_until"]
    if bool(quiet_from) != bool(quiet_until) or any(
        one and not _CLOCK.fullmatch(one) for one in (quiet_from, quiet_until)
    ):
        raise OperatorError("quiet hours: expected two times HH:MM, or none")
    if quiet_from and quiet_from == quiet_until:
        raise OperatorError("quiet hours: expected two different times; a channel that is always quiet sends nothing")
    if values["group"] not in {str(one) for one in GROUPS_MIN}:
        raise OperatorError(f"grouping: expected one of {', '.join(map(str, GROUPS_MIN))} min")
    row = (name, service, address, urgent_only, quiet_from, quiet_until, 60.0 * int(values["group"]))
    with transaction(connection):
        try:
            cursor = connection.execute(
                "INSERT INTO channels (name, service, address, urgent_only, quiet_from, quiet_until, group_s) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        except sqlite3.IntegrityError as error:
            raise OperatorError(f"name: a channel {name!r} is there already; choose another name") from error
        keep_change(connection, who, "added channel", name, {}, {"service": service})
    return int(cursor.lastrowid or 0)


def change_channel(connection: sqlite3.Connection, who: str, channel: Channel, what: str) -> None:
    """Switch a channel on or off, or remove it with what waits for it.

    Raises:
        OperatorError: that cannot be done with a channel.
    """
    if what not in ("on", "off", "remove"):
        raise OperatorError(f"channel: expected on, off or remove, got {what[:40]!r}")
    with transaction(connection):
        if what == "remove":
            connection.execute("DELETE FROM channels WHERE id = ?", (channel.id,))
        else:
            connection.execute("UPDATE channels SET enabled = ? WHERE id = ?", (what == "on", channel.id))
            connection.execute("DELETE FROM outgoing WHERE channel = ? AND sent_s IS NULL", (channel.id,))
        keep_change(connection, who, f"channel {what}", channel.name, {}, {"service": channel.service})


def queue_test(connection: sqlite3.Connection, channel: Channel) -> int:
    """Have a test message sent at once, quiet hours or not, and return its number in `outgoing`."""
    now = time.time()
    cursor = connection.execute(
        "INSERT INTO outgoing (channel, queued_s, due_s) VALUES (?, ?, ?)", (channel.id, now, now)
    )
    return int(cursor.lastrowid or 0)


def check_name(name: str) -> str:
    """Return a channel's name.

    Raises:
        OperatorError: it is empty, too long, or holds control characters.
    """
    if not name or len(name) > MOST_NAME or has_control_characters(name):
        raise OperatorError(f"name: expected 1 to {MOST_NAME} letters, got {len(name)}")
    return name


def check_address(address: str) -> str:
    """Return an address that Apprise may be asked about; what it is, is said in no error.

    Raises:
        OperatorError: it is none.
    """
    if not 4 <= len(address) <= MOST_ADDRESS or "://" not in address or has_control_characters(address):
        raise OperatorError(f"address: expected SERVICE://... of at most {MOST_ADDRESS} letters, as Apprise writes it")
    return address


def _channel(row: sqlite3.Row) -> Channel:
    def time_of(name: str) -> datetime | None:
        return None if row[name] is None else datetime.fromtimestamp(row[name], UTC)

    own = (row["id"], row["name"], row["service"], bool(row["urgent_only"]), row["quiet_from"], row["quiet_until"])
    when = (time_of("sent_s"), time_of("failing_since"))
    return Channel(*own, row["group_s"], bool(row["enabled"]), *when, row["said"], row["waiting"])
