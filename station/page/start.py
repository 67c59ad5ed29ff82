"""The first steps: what a new lab still has to do before it sees an ageing curve, each with how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.responses import Response

from station.page.accounts import count_users
from station.page.changes import begin_change, end_change
from station.page.database import page_database
from station.page.read import NoLog, load_table, log
from station.page.texts import text
from station.page.web import Visit
from station.registry.zones import set_zone

KEY = "zone"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the wizard. state: done, next or later. said: what is known about it now."""

    name: str
    state: str
    said: str


def show_start(visit: Visit) -> Response:
    """Return the steps."""
    return visit.answer("start.html", steps=find_steps(visit), zone=_zone(visit), data=str(visit.data.resolve()))


def keep_zone(visit: Visit) -> Response:
    """Keep the time zone in which the lab's days begin."""
    zone, before = visit.value("zone"), _zone(visit)
    with page_database(visit.data) as connection:
        number = begin_change(connection, visit.name, "set time zone", "", {"zone": before}, {"zone": zone})
        done = False
        try:
            with log(visit.data):
                pass  # where no station has run yet there is nothing to set
            set_zone(visit.data, zone, None)
            done = True
        finally:
            end_change(connection, number, done=done)
    visit.page.watch.look_again()
    return visit.go("/start", text("start.zone_set", zone=zone))


def find_steps(visit: Visit) -> list[Step]:
    """Return the steps in order, the first one that is not done marked as next."""
    watch, now = visit.page.watch, datetime.now(UTC)
    watch.wait_for_a_look()
    running = watch.running
    subjects, _ = load_table(visit.data)
    with page_database(visit.data) as connection:
        people = count_users(connection)
    if running is None:
        broker = text("start.broker.none")
    elif not running.runs(now):
        broker = text("start.broker.stopped")
    elif not running.connected:
        broker = text("start.broker.lost", broker=running.broker, said=running.said or text("start.broker.connecting"))
    else:
        broker = text("start.broker.done", broker=running.broker, name=running.name)
    pictured = sum(card.newest.picture is not None for card in watch.cards.values())
    housed = {name for card in watch.cards.values() for name in card.animals}
    found = [
        ("people", people > 0, text("start.people.done", count=people)),
        ("broker", running is not None and running.runs(now) and running.connected, broker),
        ("zone", _zone(visit) != "", text("start.zone.done", zone=_zone(visit))),
        ("camera", bool(pictured), text("start.camera.done", count=len(watch.cards), pictured=pictured)),
        ("animal", bool(housed), text("start.animal.done", count=len(subjects), housed=len(housed))),
    ]
    steps, waiting = [], False
    for name, done, said in found:
        state = "done" if done else "later" if waiting else "next"
        waiting = waiting or not done
        steps.append(Step(name, state, said))
    return steps


def _zone(visit: Visit) -> str:
    """Return the zone as it was set, "" where none was."""
    try:
        with log(visit.data) as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    except NoLog:
        return ""
    return str(row[0]) if row is not None else ""
