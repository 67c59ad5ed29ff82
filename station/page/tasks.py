"""Tasks: what somebody has to do by a day, who did it and when. They are no alarms: nothing is wrong."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from edge.errors import OperatorError
from station.page.alarms.decide import check_person
from station.page.changes import keep_change
from station.printable import has_control_characters
from station.registry.lifetime import day_of
from station.transaction import transaction

KINDS = ("weigh", "change_cage", "other")
EVERY_DAYS = (0, 1, 7, 14, 28)
MOST_TITLE = 120
MOST_AHEAD = timedelta(days=3 * 366)
MOST_DONE = 200


@dataclass(frozen=True, slots=True)
class Task:
    """One task. about: an animal or a cage's device, as about_kind says, "" for neither. due: YYYY-MM-DD."""

    id: int
    kind: str
    title: str
    about_kind: str
    about: str
    due: str
    every_days: int
    assigned: str
    made_by: str
    done_at: datetime | None
    done_by: str
    dropped: bool

    def state(self, today: str) -> str:
        """Return late, today or later."""
        return "late" if self.due < today else "today" if self.due == today else "later"


def load_open_tasks(connection: sqlite3.Connection) -> list[Task]:
    """Return what is to be done, the earliest first."""
    rows = connection.execute("SELECT * FROM tasks WHERE done_s IS NULL ORDER BY due, id LIMIT 2000").fetchall()
    return [_task(row) for row in rows]


def load_done_tasks(connection: sqlite3.Connection) -> list[Task]:
    """Return what was done or dropped, the newest first."""
    query = "SELECT * FROM tasks WHERE done_s IS NOT NULL ORDER BY done_s DESC, id DESC LIMIT ?"
    return [_task(row) for row in connection.execute(query, (MOST_DONE,)).fetchall()]


def count_due(connection: sqlite3.Connection, today: str) -> int:
    """Return how many tasks are due today or late."""
    return int(
        connection.execute("SELECT count(*) FROM tasks WHERE done_s IS NULL AND due <= ?", (today,)).fetchone()[0]
    )


def add_task(connection: sqlite3.Connection, who: str, values: dict[str, str]) -> None:
    """Keep a new task. values: kind, title, about_kind, about, due, every, assigned; what it is about exists.

    Raises:
        OperatorError: a value that cannot be one.
    """
    kind, title, every = values["kind"], values["title"], values["every"] or "0"
    if kind not in KINDS:
        raise OperatorError(f"kind: expected one of {', '.join(KINDS)}, got {kind[:40]!r}")
    if (not title and kind == "other") or len(title) > MOST_TITLE or has_control_characters(title):
        raise OperatorError(f"what to do: expected 1 to {MOST_TITLE} letters, got {len(title)}")
    if kind != "other" and not values["about"]:
        raise OperatorError("about: expected the animal or cage that this is about, got none")
    if every not in {str(one) for one in EVERY_DAYS}:
        raise OperatorError(f"again every: expected one of {', '.join(map(str, EVERY_DAYS))} days, got {every[:40]!r}")
    due = check_due(values["due"])
    row = (
        kind,
        title,
        values["about_kind"],
        values["about"],
        due,
        int(every),
        check_person(connection, values["assigned"]),
    )
    with transaction(connection):
        _insert(connection, row, who)
        keep_change(connection, who, "added task", values["about"], {}, {"task": title or kind, "due": due})


def finish_task(connection: sqlite3.Connection, who: str, number: str, today: str, *, dropped: bool = False) -> Task:
    """Keep that a task was done, or is not to be done, and return it; one that repeats is due again.

    Raises:
        OperatorError: it is done already, or there is no such task.
    """
    sound = number.isascii() and number.isdecimal() and len(number) < 16
    with transaction(connection):
        row = connection.execute("SELECT * FROM tasks WHERE id = ?", (int(number),)).fetchone() if sound else None
        if row is None:
            raise OperatorError("task: expected one of the list, got none; load the page again")
        task = _task(row)
        if task.done_at is not None:
            raise OperatorError(f"task: {task.done_by} did this already at {task.done_at:%Y-%m-%d %H:%M} UTC")
        _finish(connection, who, task, today, dropped=dropped)
    return task


def finish_weighing(connection: sqlite3.Connection, who: str, subject: str, day: str) -> int:
    """Keep the tasks to weigh an animal that were due by that day as done, and return how many they were."""
    rows = connection.execute(
        "SELECT * FROM tasks WHERE done_s IS NULL AND kind = 'weigh' AND about_kind = 'animal' AND about = ? "
        "AND due <= ?",
        (subject, day),
    ).fetchall()
    if rows:
        with transaction(connection):
            for row in rows:
                _finish(connection, who, _task(row), day, dropped=False)
    return len(rows)


def check_due(text: str) -> str:
    """Return a day on which something can be due, as YYYY-MM-DD.

    Raises:
        OperatorError: it is none, or years away.
    """
    day: date | None = day_of(text)
    if day is None:
        raise OperatorError(f"due: expected YYYY-MM-DD, got {text[:40]!r}")
    now = datetime.now(UTC).date()
    if not now - MOST_AHEAD <= day <= now + MOST_AHEAD:
        raise OperatorError(f"due: expected a day within three years, got {day}")
    return day.isoformat()


def _finish(connection: sqlite3.Connection, who: str, task: Task, today: str, *, dropped: bool) -> None:
    connection.execute(
        "UPDATE tasks SET done_s = ?, done_by = ?, dropped = ? WHERE id = ?", (time.time(), who, dropped, task.id)
    )
    if task.every_days and not dropped:
        begun = max(date.fromisoformat(task.due), date.fromisoformat(today))
        due = (begun + timedelta(days=task.every_days)).isoformat()
        row = (task.kind, task.title, task.about_kind, task.about, due, task.every_days, task.assigned)
        _insert(connection, row, task.made_by)
    what = "dropped task" if dropped else "did task"
    keep_change(connection, who, what, task.about, {}, {"task": task.title or task.kind, "due": task.due})


def _insert(connection: sqlite3.Connection, row: tuple[object, ...], who: str) -> None:
    connection.execute(
        "INSERT INTO tasks (kind, title, about_kind, about, due, every_days, assigned, made_s, made_by) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, time.time(), who),
    )


def _task(row: sqlite3.Row) -> Task:
    done = None if row["done_s"] is None else datetime.fromtimestamp(row["done_s"], UTC)
    own = (row["id"], row["kind"], row["title"], row["about_kind"], row["about"], row["due"], row["every_days"])
    return Task(*own, row["assigned"], row["made_by"], done, row["done_by"], bool(row["dropped"]))
