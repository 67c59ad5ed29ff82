"""Alarms: one for each device and kind of trouble, from the moment it is seen until it is gone, with its history."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from station.page.wall import URGENT
from station.transaction import transaction

ACTIVE, ACKNOWLEDGED, CLEARED = "active", "acknowledged", "cleared"
NOT_SEEN = "animal_not_seen"
OWN_KINDS = (NOT_SEEN,)
"""Kinds that the page itself finds: whether somebody knows stands with the alarm alone."""
AGAIN_S = 3600.0
"""What comes back so soon is the same alarm, and is sent once."""
MOST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a device now. known: somebody acknowledged it; None where the alarm itself says that."""

    device: str
    kind: str
    text: str
    known: bool | None

    @property
    def urgent(self) -> bool:
        """Whether it also goes to those who want to hear of nothing else."""
        return self.kind in (*URGENT, NOT_SEEN)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. text: what was wrong when it began. snoozed_until: no message and no count before then."""

    id: int
    device: str
    kind: str
    text: str
    state: str
    began_at: datetime
    cleared_at: datetime | None
    assigned: str
    snoozed_until: datetime | None
    decided_s: float
    told_s: float

    def sleeps(self, now_s: float) -> bool:
        """Return whether it is put off."""
        return self.snoozed_until is not None and self.snoozed_until.timestamp() > now_s


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an alarm's history. who: "" for the page itself."""

    at: datetime
    who: str
    what: str
    text: str


def keep_alarms(connection: sqlite3.Connection, found: Iterable[Trouble], as_of_s: float, now_s: float) -> None:
    """Bring the alarms in line with what is wrong, and put what is to be sent into `outgoing`, in one transaction.

    as_of_s: when the look began: what a person decided since is not taken back by it.
    """
    troubles = {(one.device, one.kind): one for one in found}
    standing = {(one.device, one.kind): one for one in load_open(connection)}
    if not _differs(troubles, standing, now_s):
        return
    with transaction(connection):
        standing = {(one.device, one.kind): one for one in load_open(connection)}
        for key, trouble in troubles.items():
            alarm = standing.get(key)
            if alarm is None:
                _begin(connection, trouble, now_s)
            elif alarm.decided_s <= as_of_s:
                _go_on(connection, alarm, trouble, now_s)
        for key, alarm in standing.items():
            if key not in troubles and alarm.decided_s <= as_of_s:
                connection.execute(
                    "UPDATE alarms SET state = ?, cleared_s = ? WHERE id = ?", (CLEARED, now_s, alarm.id)
                )
                add_entry(connection, alarm.id, "", CLEARED, "", now_s)


def load_open(connection: sqlite3.Connection) -> list[Alarm]:
    """Return the alarms whose trouble stands, oldest first."""
    rows = connection.execute("SELECT * FROM alarms WHERE cleared_s IS NULL ORDER BY began_s, id").fetchall()
    return [_alarm(row) for row in rows]


def load_cleared(connection: sqlite3.Connection) -> list[Alarm]:
    """Return the newest alarms that are over, the last one first."""
    query = "SELECT * FROM alarms WHERE cleared_s IS NOT NULL ORDER BY cleared_s DESC, id DESC LIMIT ?"
    return [_alarm(row) for row in connection.execute(query, (MOST_SHOWN,)).fetchall()]


def count_active(alarms: Iterable[Alarm]) -> int:
    """Return how many need somebody: neither known nor put off."""
    now_s = datetime.now(UTC).timestamp()
    return sum(alarm.state == ACTIVE and not alarm.sleeps(now_s) for alarm in alarms)


def find_alarm(connection: sqlite3.Connection, number: str) -> Alarm | None:
    """Return an alarm by its number as an address has it, None where there is none."""
    if not (number.isascii() and number.isdecimal() and len(number) < 16):
        return None
    row = connection.execute("SELECT * FROM alarms WHERE id = ?", (int(number),)).fetchone()
    return _alarm(row) if row is not None else None


def load_history(connection: sqlite3.Connection, alarm: int) -> list[Entry]:
    """Return what happened to an alarm, oldest first."""
    query = "SELECT at, who, what, text FROM alarm_history WHERE alarm = ? ORDER BY id LIMIT ?"
    rows = connection.execute(query, (alarm, MOST_SHOWN)).fetchall()
    return [Entry(datetime.fromtimestamp(row["at"], UTC), row["who"], row["what"], row["text"]) for row in rows]


def add_entry(connection: sqlite3.Connection, alarm: int, who: str, what: str, text: str, now_s: float) -> None:
    """Keep one line of an alarm's history, in the caller's transaction."""
    connection.execute(
        "INSERT INTO alarm_history (alarm, at, who, what, text) VALUES (?, ?, ?, ?, ?)", (alarm, now_s, who, what, text)
    )


def _differs(troubles: dict[tuple[str, str], Trouble], standing: dict[tuple[str, str], Alarm], now_s: float) -> bool:
    """Return whether anything would be written: nearly always nothing is, and no lock is taken then."""
    if troubles.keys() != standing.keys():
        return True
    return any(
        (alarm.snoozed_until is not None and not alarm.sleeps(now_s))
        or (troubles[key].known is not None and troubles[key].known != (alarm.state == ACKNOWLEDGED))
        or _shape(alarm.text) != _shape(troubles[key].text)
        for key, alarm in standing.items()
    )


def _begin(connection: sqlite3.Connection, trouble: Trouble, now_s: float) -> None:
    state = ACKNOWLEDGED if trouble.known else ACTIVE
    row = connection.execute(
        "SELECT id, told_s FROM alarms WHERE device = ? AND kind = ? AND cleared_s > ? ORDER BY cleared_s DESC LIMIT 1",
        (trouble.device, trouble.kind, now_s - AGAIN_S),
    ).fetchone()
    if row is not None:
        number, told_s = int(row["id"]), float(row["told_s"])
        connection.execute(
            "UPDATE alarms SET state = ?, text = ?, cleared_s = NULL WHERE id = ?", (state, trouble.text, number)
        )
        add_entry(connection, number, "", "again", trouble.text, now_s)
    else:
        cursor = connection.execute(
            "INSERT INTO alarms (device, kind, text, state, began_s) VALUES (?, ?, ?, ?, ?)",
            (trouble.device, trouble.kind, trouble.text, state, now_s),
        )
        number, told_s = int(cursor.lastrowid or 0), 0.0
        add_entry(connection, number, "", "began", trouble.text, now_s)
    if state == ACTIVE and (not told_s or told_s <= now_s - AGAIN_S):
        _queue(connection, number, trouble, now_s)


def _go_on(connection: sqlite3.Connection, alarm: Alarm, trouble: Trouble, now_s: float) -> None:
    if _shape(alarm.text) != _shape(trouble.text):
        connection.execute("UPDATE alarms SET text = ? WHERE id = ?", (trouble.text, alarm.id))
    if alarm.snoozed_until is not None and not alarm.sleeps(now_s):
        connection.execute("UPDATE alarms SET snoozed_until = NULL WHERE id = ?", (alarm.id,))
        add_entry(connection, alarm.id, "", "snooze_over", "", now_s)
        if alarm.state == ACTIVE:
            _queue(connection, alarm.id, trouble, now_s)
    if trouble.known is None or trouble.known == (alarm.state == ACKNOWLEDGED):
        return
    state = ACKNOWLEDGED if trouble.known else ACTIVE
    connection.execute("UPDATE alarms SET state = ? WHERE id = ?", (state, alarm.id))
    add_entry(connection, alarm.id, "", ACKNOWLEDGED if trouble.known else "more", trouble.text, now_s)
    if not trouble.known:
        _queue(connection, alarm.id, trouble, now_s)


def _queue(connection: sqlite3.Connection, number: int, trouble: Trouble, now_s: float) -> None:
    """Have an alarm sent by each channel that wants it; the sender does so in its own time."""
    connection.execute("UPDATE alarms SET told_s = ? WHERE id = ?", (now_s, number))
    connection.execute(
        "INSERT INTO outgoing (channel, alarm, queued_s, due_s) "
        "SELECT id, ?, ?, ? + group_s FROM channels WHERE enabled AND (NOT urgent_only OR ?)",
        (number, now_s, now_s, trouble.urgent),
    )


def _shape(text: str) -> str:
    """Return a text without its numbers, which change all the time."""
    return re.sub(r"\d+([.:-]\d+)*( (s|min|h|d)\b)?", "#", text)


def _alarm(row: sqlite3.Row) -> Alarm:
    def time(name: str) -> datetime | None:
        return None if row[name] is None else datetime.fromtimestamp(row[name], UTC)

    began = time("began_s") or datetime.fromtimestamp(0, UTC)
    own = (row["id"], row["device"], row["kind"], row["text"], row["state"], began, time("cleared_s"))
    return Alarm(*own, row["assigned"], time("snoozed_until"), row["decided_s"], row["told_s"])
