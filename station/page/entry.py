"""Data entry: animals enrolled, moved, weighed, noted, dead; what is wrong with a cage acknowledged."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from edge.errors import OperatorError
from station.page.alarms.alarm import ACTIVE, OWN_KINDS, load_open
from station.page.alarms.decide import acknowledge_alarm
from station.page.changes import begin_change, end_change
from station.page.database import page_database
from station.page.notes import add_note, add_weighing, check_day
from station.page.read import load_table
from station.page.tasks import finish_weighing
from station.page.texts import text
from station.page.wall import in_order
from station.page.web import Visit, query
from station.printable import as_cell
from station.registry import devices
from station.registry.housing import move_subject
from station.registry.merge import Imported
from station.registry.subject import COLUMNS, Subject
from station.registry.subjects import decisions, import_subjects
from station.registry.unmatched import doubtful_names

PASTED = "your table"
MOST_LETTERS = 2_000_000
REASONS = ("found_dead", "humane_endpoint", "end_of_study", "accident", "other")
EDITABLE = ("strain", "sex", "date_of_birth", "date_of_arrival", "cage", "device", "date_of_departure", "notes")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a pasted table would do. problem: why it cannot be read at all."""

    found: Imported | None
    notices: tuple[str, ...]
    problem: str


def list_animals(visit: Visit) -> Response:
    """Return the list of animals."""
    subjects, _ = load_table(visit.data)
    words = visit.value("q").casefold().split()
    chosen = [one for one in subjects if all(word in _said(one) for word in words)]
    chosen.sort(key=lambda one: in_order(one.subject))
    living = {name for card in visit.page.watch.cards.values() for name in card.animals}
    return visit.answer("animals.html", subjects=chosen, count=len(subjects), words=visit.value("q"), living=living)


def show_enrol(visit: Visit) -> Response:
    """Return the form for a table."""
    return visit.answer("enrol.html", columns=COLUMNS, pasted="", checked=None)


def check_enrol(visit: Visit) -> Response:
    """Return what the pasted table would do, while it is being typed."""
    pasted = visit.value("table")
    return visit.answer("_checked.html", checked=check_table(visit.data, pasted) if pasted else None)


def enrol(visit: Visit) -> Response:
    """Take the pasted table and return the way to the animals."""
    pasted = visit.value("table")
    checked = check_table(visit.data, pasted)
    if checked.found is None or checked.found.refused:
        return visit.answer("enrol.html", 422, columns=COLUMNS, pasted=pasted, checked=checked)
    with tempfile.TemporaryDirectory() as folder:
        found = _imported(visit, Path(folder), pasted, "enrolled")
    said = text("enrol.done", added=len(found.added), changed=len({one.subject for one in found.changed}))
    return visit.go("/animals", said)


def check_table(data: Path, pasted: str) -> Checked:
    """Return what a pasted table would do to the table of animals, by the rules of `subjects import`."""
    if len(pasted) > MOST_LETTERS:
        return Checked(None, (), text("enrol.too_long"))
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), pasted)
        try:
            found = import_subjects(path, data, dry_run=True)
            notices = [*decisions(path), *doubtful_names(data, found.added)]
        except OperatorError as error:
            return Checked(None, (), _named(str(error), path))
        refused = tuple(_named(sentence, path) for sentence in found.refused)
        found = Imported(found.added, found.changed, found.same, found.not_named, refused)
        return Checked(found, tuple(_named(notice, path) for notice in notices), "")


def edit_animal(visit: Visit) -> Response:
    """Change what the table says of an animal."""
    subject = _subject(visit)
    said = {column: visit.value(column) for column in EDITABLE if column in visit.form}
    cells = {column: value or "(clear)" for column, value in said.items() if value != (getattr(subject, column) or "")}
    if cells:
        _change_one(visit, subject, cells, "edited")
    return visit.go("/animal", text("animal.saved") if cells else text("animal.same"), name=subject.subject)


def move_animal(visit: Visit) -> Response:
    """Move an animal to another cage on a day."""
    subject = _subject(visit)
    cage = visit.value("cage") or None
    day = check_day(visit.value("day"))
    before = {"cage": subject.cage, "device": subject.device}
    after = {"cage": cage, "device": None, "day": day}
    with page_database(visit.data) as connection:
        number = begin_change(connection, visit.name, "moved", subject.subject, before, after)
        done = False
        try:
            move_subject(visit.data, subject.subject, cage, None, day)
            done = True
        finally:
            end_change(connection, number, done=done)
    visit.page.watch.look_again()
    return visit.go("/animal", text("animal.moved", name=subject.subject, cage=cage or ""), name=subject.subject)


def weigh_animal(visit: Visit) -> Response:
    """Keep an animal's weight."""
    subject = _subject(visit)
    grams = add_weighing(visit.data, visit.name, subject.subject, visit.value("day"), visit.value("grams"))
    with page_database(visit.data) as connection:
        done = finish_weighing(connection, visit.name, subject.subject, check_day(visit.value("day")))
    said = text("animal.weighed", grams=f"{grams:g}")
    if done:
        said = text("animal.weighed_task", grams=f"{grams:g}")
    return visit.go("/animal", said, name=subject.subject)


def note(visit: Visit) -> Response:
    """Keep a note about an animal or a cage."""
    kind, name = visit.value("kind"), visit.value("name")
    if kind == "animal":
        _subject(visit)
    elif kind != "cage" or name not in visit.page.watch.cards:
        raise OperatorError(text("cage.unknown", device=name))
    add_note(visit.data, visit.name, kind, name, visit.value("day"), visit.value("text"))
    if kind == "cage":
        return visit.go("/cage", text("note.kept"), device=name)
    return visit.go("/animal", text("note.kept"), name=name)


def end_animal(visit: Visit) -> Response:
    """Keep that an animal died, and why."""
    subject = _subject(visit)
    reason = visit.value("reason")
    if reason not in REASONS:
        raise OperatorError(f"reason: expected one of {', '.join(REASONS)}, got {reason[:40]!r}")
    day = check_day(visit.value("day"))
    _change_one(visit, subject, {"date_of_death": day}, "died", {"reason": reason})
    words = f"{text('death.' + reason)}. {visit.value('text')}".strip()
    add_note(visit.data, visit.name, "animal", subject.subject, day, words)
    return visit.go("/animal", text("animal.ended", name=subject.subject), name=subject.subject)


def decide_device(visit: Visit) -> Response:
    """Acknowledge a device's present problems, retire it, or take either back."""
    device, decision, reason = visit.value("device"), visit.value("decision"), visit.value("reason")
    card = visit.page.watch.cards.get(device)
    if card is None or card.status is None:
        raise OperatorError(text("cage.unknown", device=device))
    if decision not in ("acknowledge", "retire", "reinstate"):
        raise OperatorError(f"decision: expected acknowledge, retire or reinstate, got {decision[:40]!r}")
    before = {"problems": ", ".join(card.status.problems), "retired": card.retired}
    with page_database(visit.data) as connection:
        number = begin_change(connection, visit.name, decision, device, before, {"reason": reason})
        done = False
        try:
            if decision == "acknowledge":
                _acknowledge_own(visit, device, reason)
                devices.acknowledge(visit.data, device, card.status.counts, f"{visit.name}: {reason}")
            elif decision == "retire":
                devices.retire(visit.data, device, f"{visit.name}: {reason}")
            else:
                devices.reinstate(visit.data, device)
            done = True
        finally:
            end_change(connection, number, done=done)
    visit.page.watch.look_again()
    if visit.value("back") == "device":
        return visit.go("/device", text(f"decided.{decision}"), name=device)
    return visit.go("/cage", text(f"decided.{decision}"), device=device)


def _acknowledge_own(visit: Visit, device: str, reason: str) -> None:
    """Acknowledge what the page itself found wrong with a cage: of that the log knows nothing."""
    with page_database(visit.data) as connection:
        for alarm in load_open(connection):
            if alarm.device == device and alarm.kind in OWN_KINDS and alarm.state == ACTIVE:
                acknowledge_alarm(connection, visit.name, alarm, reason)


def _subject(visit: Visit) -> Subject:
    name = visit.value("name")
    found = next((one for one in load_table(visit.data)[0] if one.subject == name), None)
    if found is None:
        raise OperatorError(text("animal.not_in_table", name=name))
    return found


def _change_one(
    visit: Visit, subject: Subject, cells: Mapping[str, str], what: str, more: Mapping[str, str] | None = None
) -> None:
    """Change an animal by a table of one row, so that every rule of the table holds for a form too."""
    lines = [["subject", *cells], [as_cell(subject.subject), *map(as_cell, cells.values())]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "form.csv")
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)
        _run_import(visit, path, what, more or {})


def _imported(visit: Visit, folder: Path, pasted: str, what: str) -> Imported:
    return _run_import(visit, _written(folder, pasted), what, {})


def _run_import(visit: Visit, path: Path, what: str, more: Mapping[str, str]) -> Imported:
    """Import a file with a line for each animal in the list of changes, begun before and ended after."""
    try:
        plan = import_subjects(path, visit.data, dry_run=True)
        if plan.refused:
            raise OperatorError("\n".join(plan.refused))
        changes: dict[str, tuple[dict[str, str | None], dict[str, str | None]]] = {
            name: ({}, {"added": name}) for name in plan.added
        }
        for one in plan.changed:
            before, after = changes.setdefault(one.subject, ({}, {}))
            before[one.column], after[one.column] = one.before, one.after
        with page_database(visit.data) as connection:
            numbers = [
                begin_change(connection, visit.name, what, name, before, after | dict(more))
                for name, (before, after) in changes.items()
            ]
            done = False
            try:
                found = import_subjects(path, visit.data)
                done = True
            finally:
                for number in numbers:
                    end_change(connection, number, done=done)
    except OperatorError as error:
        raise OperatorError(_named(str(error), path)) from error
    visit.page.watch.look_again()
    return found


def _written(folder: Path, pasted: str) -> Path:
    path = folder / "pasted.csv"
    path.write_text(pasted, encoding="utf-8", errors="replace", newline="")
    return path


def _named(sentence: str, path: Path) -> str:
    """Return a sentence of the reader with the form's own name in place of the file's."""
    if path.name == "form.csv":
        return sentence.replace(f"{path}, line 2: ", "").replace(f"{path}: ", "").replace(str(path), PASTED)
    return sentence.replace(str(path), PASTED)


def _said(subject: Subject) -> str:
    return " ".join(filter(None, (subject.subject, subject.strain, subject.cage, subject.sex))).casefold()


def animal_address(name: str) -> str:
    """Return the address of an animal's page."""
    return query("/animal", name=name)
