"""What people do with an alarm: acknowledge, comment, assign, put off."""

from __future__ import annotations

import sqlite3
import time

from edge.errors import OperatorError
from station.page.accounts import load_users
from station.page.alarms.alarm import ACKNOWLEDGED, ACTIVE, Alarm, add_entry
from station.page.changes import keep_change
from station.printable import has_control_characters
from station.transaction import transaction

SNOOZES_H = (1, 4, 12, 24, 72)
MOST_LETTERS = 1000


def acknowledge_alarm(connection: sqlite3.Connection, who: str, alarm: Alarm, said: str) -> None:
    """Keep that somebody knows; what waits to be sent of it is dropped."""
    said = check_comment(said)
    with transaction(connection):
        _decide(connection, alarm, "state = ?", ACKNOWLEDGED)
        connection.execute("DELETE FROM outgoing WHERE alarm = ? AND sent_s IS NULL", (alarm.id,))
        _say(connection, who, alarm, ACKNOWLEDGED, said)


def comment_alarm(connection: sqlite3.Connection, who: str, alarm: Alarm, said: str) -> None:
    """Keep a comment.

    Raises:
        OperatorError: it is empty.
    """
    said = check_comment(said)
    if not said:
        raise OperatorError("comment: expected some text, got none")
    with transaction(connection):
        _say(connection, who, alarm, "comment", said)


def assign_alarm(connection: sqlite3.Connection, who: str, alarm: Alarm, to: str) -> None:
    """Give an alarm to somebody, or to nobody.

    Raises:
        OperatorError: there is no such person.
    """
    to = check_person(connection, to)
    with transaction(connection):
        connection.execute("UPDATE alarms SET assigned = ? WHERE id = ?", (to, alarm.id))
        _say(connection, who, alarm, "assigned", to)


def snooze_alarm(connection: sqlite3.Connection, who: str, alarm: Alarm, hours: str) -> None:
    """Put an alarm off: it counts again, and is sent again, when the time is over and the trouble still stands.

    Raises:
        OperatorError: the time is none of those offered.
    """
    if hours not in {str(one) for one in SNOOZES_H}:
        raise OperatorError(f"hours: expected one of {', '.join(map(str, SNOOZES_H))}, got {hours[:40]!r}")
    with transaction(connection):
        _decide(connection, alarm, "state = ?, snoozed_until = ?", ACTIVE, time.time() + 3600.0 * int(hours))
        connection.execute("DELETE FROM outgoing WHERE alarm = ? AND sent_s IS NULL", (alarm.id,))
        _say(connection, who, alarm, "snoozed", f"{hours} h")


def check_person(connection: sqlite3.Connection, name: str) -> str:
    """Return the name of somebody who has an account, "" for nobody.

    Raises:
        OperatorError: nobody is called so.
    """
    known = {user.name.casefold(): user.name for user in load_users(connection) if not user.disabled}
    if name and name.casefold() not in known:
        raise OperatorError(f"person: expected somebody with an account, got {name[:80]!r}")
    return known[name.casefold()] if name else ""


def check_comment(said: str) -> str:
    """Return a comment, "" where there is none.

    Raises:
        OperatorError: it is too long, or holds control characters.
    """
    said = said.replace("\r\n", "\n").strip()
    if len(said) > MOST_LETTERS or has_control_characters(said.replace("\n", " ")):
        raise OperatorError(f"comment: expected at most {MOST_LETTERS} letters without control characters")
    return said


def _decide(connection: sqlite3.Connection, alarm: Alarm, columns: str, *values: object) -> None:
    connection.execute(f"UPDATE alarms SET {columns}, decided_s = ? WHERE id = ?", (*values, time.time(), alarm.id))


def _say(connection: sqlite3.Connection, who: str, alarm: Alarm, what: str, said: str) -> None:
    add_entry(connection, alarm.id, who, what, said, time.time())
    keep_change(connection, who, f"alarm {what}", alarm.device, {"alarm": alarm.kind}, {"said": said} if said else {})
