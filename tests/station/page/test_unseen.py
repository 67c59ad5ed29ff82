"""A cage in which no animal was found for long is an alarm, where it was looked for."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from edge.contract import jsontext
from edge.contract.reading import Light, Outcome
from station.page.alarms.unseen import find_unseen
from station.page.wall import Card, make_card
from station.registry.attribution import Owners
from station.registry.subject import Subject
from station.store.message import Arrival
from station.store.schema import open_for_reading
from station.store.store import Store
from tests.station.page.lab import NOW
from tests.station.samples import arrival, reading


def cage(tmp_path: Path, outcomes: list[Outcome], every_h: float = 1.0, found: int = 0) -> tuple[Card, Owners]:
    """A cage of which so many readings came up to now, with M1 living there by the table for long."""
    with closing(Store.open(tmp_path)) as store:
        for seq, outcome in enumerate(outcomes, 1):
            at = NOW - timedelta(hours=every_h * (len(outcomes) - seq))
            one = reading(seq, at=at, outcome=outcome, animals=(), light=Light.LIGHT)
            store.take([arrival(one, seq)])
        state = Arrival("cage-1", "health", jsontext.encode({"problems": [], "advice": []}), NOW.timestamp())
        store.take([state])
    from station.page.read import find_newest, log

    with log(tmp_path) as connection:
        newest = find_newest(connection, "cage-1")
    owners = Owners([Subject(subject="M1", cage="cage-1", date_of_birth="2026-01-01")], _zones())
    return make_card(newest, None, ["M1"], [], UTC), owners


def _zones():  # type: ignore[no-untyped-def]
    from station.registry.zones import Zones

    return Zones()


@pytest.mark.parametrize(
    ("outcomes", "every_h", "alarm"),
    [
        ([Outcome.NO_MOUSE] * 14, 1.0, True),
        ([Outcome.NO_MOUSE] * 7 + [Outcome.DARK] * 7, 1.0, True),
        ([*[Outcome.NO_MOUSE] * 10, Outcome.IN_NEST, *[Outcome.NO_MOUSE] * 3], 1.0, False),
        ([Outcome.NO_MOUSE] * 6, 1.0, False),  # looked for too short a time
        ([Outcome.NO_MOUSE] * 3, 5.0, False),  # too few pictures
    ],
)
def test_a_cage_in_which_no_animal_was_found_for_long_is_an_alarm(
    outcomes: list[Outcome], every_h: float, alarm: bool, tmp_path: Path
) -> None:
    card, owners = cage(tmp_path, outcomes, every_h)
    with closing(open_for_reading(tmp_path)) as connection:
        found = find_unseen(connection, [card], owners, 12.0, NOW.timestamp() + 60)
    assert list(found) == (["cage-1"] if alarm else [])
    if alarm:
        assert "M1 lives here by the table: look into the cage" in found["cage-1"]
