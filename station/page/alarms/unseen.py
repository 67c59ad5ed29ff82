"""Cages in which no animal was found for long, though one lives there and pictures come."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping

from station.page.texts import has_text, text
from station.page.wall import Card
from station.registry.attribution import Owners

FEWEST_CAPTURES = 4
COVERED = 0.75
"""The captures must reach over so much of the time: a camera that was just switched on has not looked for long."""
SEEN = ("ok", "in_nest")


def find_unseen(
    connection: sqlite3.Connection, cards: Iterable[Card], owners: Owners, hours: float, now_s: float
) -> Mapping[str, str]:
    """Return for each cage in which no animal was found in `hours`, though one lives there, a sentence with advice.

    A cage of which no pictures come is not among them: that is another alarm.
    """
    found = {}
    for card in cards:
        since_s = now_s - 3600.0 * hours
        here = [name for name in card.animals if owners.lives_in(name, card.newest.device, card.newest.cage, since_s)]
        if not here or card.retired or card.newest.at is None or card.newest.at.timestamp() < now_s - 1800 * hours:
            continue
        rows = connection.execute(
            "SELECT captured_s, outcome, found_animals FROM readings WHERE device = ? AND captured_s > ? "
            "AND captured_s <= ? AND clock_synced = 1 ORDER BY captured_s",
            (card.device, since_s, now_s),
        ).fetchall()
        if len(rows) < FEWEST_CAPTURES or rows[-1][0] - rows[0][0] < COVERED * 3600.0 * hours:
            continue
        if any(row["found_animals"] or row["outcome"] in SEEN for row in rows):
            continue
        counts = Counter(str(row["outcome"]) for row in rows).most_common()
        why = ", ".join(f"{count} × {_said(outcome)}" for outcome, count in counts)
        found[card.device] = text("unseen", count=len(rows), hours=f"{hours:g}", why=why, names=", ".join(here))
    return found


def _said(outcome: str) -> str:
    key = f"outcome.{outcome}"
    return text(key) if has_text(key) else outcome.replace("_", " ")
