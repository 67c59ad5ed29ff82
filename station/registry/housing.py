"""Where animals lived before: kept when one moves, so that its earlier readings stay its own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from edge.errors import OperatorError
from station.days.mark import mark_subjects
from station.registry.lifetime import DATES, day_of, wrong_date, wrong_order
from station.registry.subject import COLUMNS, Stay, Subject, newest_day
from station.store import schema

HOUSING = """
CREATE TABLE IF NOT EXISTS housing (
    subject TEXT NOT NULL, number INTEGER NOT NULL, cage TEXT, device TEXT, since TEXT, until TEXT NOT NULL,
    PRIMARY KEY (subject, number)
) WITHOUT ROWID"""
"""Made by the first move; a database without it holds no former stays."""


def load_stays(connection: sqlite3.Connection) -> dict[str, tuple[Stay, ...]]:
    """Return the former stays of each animal that has moved, oldest first."""
    known = connection.execute("SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = 'housing'").fetchone()
    if known is None:
        return {}
    found: dict[str, tuple[Stay, ...]] = {}
    rows = connection.execute("SELECT subject, cage, device, since, until FROM housing ORDER BY subject, number")
    for subject, *stay in rows.fetchall():
        found[subject] = (*found.get(subject, ()), Stay(*stay))
    return found


def move(subject: Subject, cage: str | None, device: str | None, day: str) -> Subject:
    """Return the animal after a move on a day, which belongs to both cages; pure.

    Raises:
        OperatorError: the day is none, or lies before it came into its present cage, or outside its dates; or it lives
            there already.
    """
    moved = day_of(day)
    if moved is None:
        raise OperatorError(f"day: expected YYYY-MM-DD, got {day!r}")
    wrong = wrong_date("day", moved, newest_day())
    since = subject.stays[-1].until if subject.stays else subject.date_of_arrival
    if wrong is None and since is not None and day < since:
        wrong = f"day: expected a day since {since}, when {subject.subject} came into its present cage, got {day}"
    for column in DATES:
        bound = getattr(subject, column)
        if wrong is None and bound is not None and (day < bound if column in DATES[:2] else day > bound):
            wrong = f"day: {day} lies {'before' if column in DATES[:2] else 'after'} {column} {bound}"
    if wrong is None and (cage, device) == (subject.cage, subject.device):
        wrong = f"{subject.subject} lives there already"
    if wrong is None and cage is None and device is None:
        wrong = "cage: expected the cage that it moves to, got nothing"
    if wrong is not None:
        raise OperatorError(wrong)
    stay = Stay(subject.cage, subject.device, since, day)
    return replace(subject, cage=cage, device=device, stays=(*subject.stays, stay))


def move_subject(data: Path, name: str, cage: str | None, device: str | None, day: str) -> Subject:
    """Return the animal as the table has it after its move; its readings until the day stay its own.

    Raises:
        OperatorError: there is no such animal, the folder cannot be written, or as `move`.
    """
    columns = ", ".join(COLUMNS)
    with closing(schema.open_for_writing(data)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(f"SELECT {columns} FROM subjects WHERE subject = ?", (name,)).fetchone()
            if row is None:
                raise OperatorError(f"expected an animal of the table, got {name!r}")
            subject = replace(Subject(*row), stays=load_stays(connection).get(name, ()))
            after = move(subject, cage, device, day)
            if (order := wrong_order(asdict(after))) is not None:
                raise OperatorError(order)
            mark_subjects(connection, [subject], [after])
            connection.execute(HOUSING)
            connection.execute(
                "INSERT INTO housing VALUES (?, ?, ?, ?, ?, ?)", (name, len(after.stays), *after.stays[-1])
            )
            connection.execute("UPDATE subjects SET cage = ?, device = ? WHERE subject = ?", (cage, device, name))
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise OperatorError(f"{data}: could not write the move: {error}") from error
    return after
