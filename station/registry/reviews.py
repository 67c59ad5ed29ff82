"""Reviews of readings: right animal, right place, usable; who said so and when, undone by another review."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from edge.errors import OperatorError
from station.days.source import day_of
from station.registry.zones import load_zones
from station.store import schema
from station.store.reviewed import REVIEWED_OUT, REVIEWS, has_reviews

Key = tuple[str, str, int]
"""(device, epoch, seq) of a reading."""
MOST_AT_ONCE = 500
MOST_LETTERS = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person says of a reading. reason: in words, "" for none."""

    right_animal: bool = True
    right_place: bool = True
    usable: bool = True
    reason: str = ""

    @property
    def out(self) -> bool:
        """Whether the reading leaves curves and days."""
        return not (self.right_animal and self.right_place and self.usable)


@dataclass(frozen=True, slots=True)
class Review:
    """One review of a reading. at_s: Unix seconds."""

    key: Key
    at_s: float
    who: str
    verdict: Verdict


def review(data: Path, who: str, keys: Sequence[Key], verdict: Verdict) -> int:
    """Keep a review of readings and return of how many; their days are made anew.

    A review that says what the last one of that reading said is not kept again.

    Raises:
        OperatorError: a reading is not in the log, they are too many, the reason is too long, or it cannot be written.
    """
    if not 0 < len(keys) <= MOST_AT_ONCE:
        raise OperatorError(f"reviews: expected 1 to {MOST_AT_ONCE} readings, got {len(keys)}")
    if len(verdict.reason) > MOST_LETTERS:
        raise OperatorError(f"reason: expected up to {MOST_LETTERS} letters, got {len(verdict.reason)}")
    with closing(schema.open_for_writing(data)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(REVIEWS)
            connection.execute(REVIEWED_OUT)
            zones, kept = load_zones(connection), 0
            for key in dict.fromkeys(keys):
                kept += _keep(connection, who, key, verdict, zones.of(key[0]))
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise OperatorError(f"{data}: could not write the review: {error}") from error
    return kept


def _keep(connection: sqlite3.Connection, who: str, key: Key, verdict: Verdict, zone: tzinfo) -> int:
    where = "device = ? AND epoch = ? AND seq = ?"
    row = connection.execute(f"SELECT at_s FROM timed_readings WHERE {where}", key).fetchone()
    if row is None:
        raise OperatorError(f"review: no reading {key[1][:8]}-{key[2]} of device {key[0]!r} is in the log")
    last = connection.execute(
        f"SELECT number, right_animal, right_place, usable, reason FROM reviews WHERE {where} "
        "ORDER BY number DESC LIMIT 1",
        key,
    ).fetchone()
    said = (int(verdict.right_animal), int(verdict.right_place), int(verdict.usable), verdict.reason)
    if last is not None and tuple(last[1:]) == said:
        return 0
    number = 1 if last is None else int(last[0]) + 1
    connection.execute(
        "INSERT INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*key, number, time.time(), who, *said)
    )
    connection.execute(f"DELETE FROM reviewed_out WHERE {where}", key)
    if verdict.out:
        connection.execute("INSERT INTO reviewed_out VALUES (?, ?, ?)", key)
    day = day_of(row[0], zone)
    if day is not None:
        connection.execute("INSERT OR IGNORE INTO days_due (device, day) VALUES (?, ?)", (key[0], day))
    return 1


def load_reviews(connection: sqlite3.Connection, key: Key) -> list[Review]:
    """Return the reviews of a reading, the last one first."""
    if not has_reviews(connection):
        return []
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM main.reviews WHERE device = ? AND epoch = ? AND seq = ? ORDER BY number DESC", key
    ).fetchall()
    return list(_reviews(rows))


def load_out(connection: sqlite3.Connection, most: int) -> list[Review]:
    """Return the last review of each reading that was reviewed out, the newest first: the hard examples."""
    if not has_reviews(connection):
        return []
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM main.reviews r WHERE EXISTS (SELECT 1 FROM main.reviewed_out o "
        "WHERE o.device = r.device AND o.epoch = r.epoch AND o.seq = r.seq) AND number = (SELECT max(number) "
        "FROM main.reviews l WHERE l.device = r.device AND l.epoch = r.epoch AND l.seq = r.seq) "
        "ORDER BY at_s DESC LIMIT ?",
        (most,),
    ).fetchall()
    return list(_reviews(rows))


def count_reviews(connection: sqlite3.Connection) -> int:
    """Return how many reviews there are: a curve that was kept before one is out of date."""
    return int(connection.execute("SELECT count(*) FROM main.reviews").fetchone()[0]) if has_reviews(connection) else 0


_COLUMNS = "device, epoch, seq, at_s, who, right_animal, right_place, usable, reason"


def _reviews(rows: Iterable[Sequence[object]]) -> Iterator[Review]:
    for row in rows:
        device, epoch, seq, at_s, who, animal, place, usable, reason = row
        verdict = Verdict(bool(animal), bool(place), bool(usable), str(reason))
        yield Review((str(device), str(epoch), int(str(seq))), float(str(at_s)), str(who), verdict)
