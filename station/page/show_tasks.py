"""The page of tasks."""

from __future__ import annotations

from starlette.responses import Response

from edge.errors import OperatorError
from station.page.accounts import load_users
from station.page.database import page_database
from station.page.read import load_table
from station.page.show_animal import today
from station.page.tasks import EVERY_DAYS, KINDS, add_task, finish_task, load_done_tasks, load_open_tasks
from station.page.texts import text
from station.page.web import Visit


def show_tasks(visit: Visit) -> Response:
    """Return what is to be done, and what was."""
    subjects, zones = load_table(visit.data)
    with page_database(visit.data) as connection:
        tasks, done = load_open_tasks(connection), load_done_tasks(connection)
        people = [user.name for user in load_users(connection) if not user.disabled]
    mine = visit.value("show") == "mine"
    if mine:
        tasks = [task for task in tasks if task.assigned in ("", visit.name)]
    animals = [one.subject for one in subjects if not one.date_of_death and not one.date_of_departure]
    cages = sorted({(card.newest.cage, card.device) for card in visit.page.watch.cards.values() if not card.retired})
    return visit.answer(
        "tasks.html",
        tasks=tasks,
        done=done,
        people=people,
        mine=mine,
        animals=animals,
        cages=cages,
        cage_of={device: cage for cage, device in cages},
        about=visit.value("about"),
        kinds=KINDS,
        every=EVERY_DAYS,
        today=today(zones.lab),
        zone=zones.lab,
    )


def keep_task(visit: Visit) -> Response:
    """Add a task."""
    values = {name: visit.value(name) for name in ("kind", "title", "due", "every", "assigned")}
    about_kind, _, about = visit.value("about").partition(" ")
    known = {
        "animal": {one.subject for one in load_table(visit.data)[0]},
        "cage": set(visit.page.watch.cards),
        "": {""},
    }
    if about not in known.get(about_kind, ()):
        raise OperatorError(text("task.about_unknown"))
    with page_database(visit.data) as connection:
        add_task(connection, visit.name, values | {"about_kind": about_kind, "about": about})
    return visit.go("/tasks", text("task.added"))


def end_task(visit: Visit) -> Response:
    """Keep that a task was done, or is not to be done."""
    dropped = visit.value("decision") == "drop"
    with page_database(visit.data) as connection:
        day = today(load_table(visit.data)[1].lab)
        finish_task(connection, visit.name, visit.value("id"), day, dropped=dropped)
    return visit.go("/tasks", text("task.dropped" if dropped else "task.did"))
