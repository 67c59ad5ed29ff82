"""Reviews on the page: the form at a reading, several readings at once, the list of hard examples and its file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response

from edge.errors import OperatorError
from station.page.changes import begin_change, end_change
from station.page.database import page_database
from station.page.export import csv_response
from station.page.read import find_reading, load_table, log
from station.page.texts import text
from station.page.web import Visit
from station.printable import as_cell, has_control_characters
from station.registry import reviews
from station.registry.reviews import Key, Review, Verdict

QUESTIONS = ("right_animal", "right_place", "usable")
MOST_SHOWN = 1000
MOST_IN_FILE = 100_000
_COLUMNS = (
    *("device", "epoch", "seq", "time", "right_animal", "right_place", "usable", "reason", "who", "reviewed_at"),
    *("estimate_days", "device_accepted", "device_reject_reasons", "picture_sha256"),
)


def keep_review(visit: Visit) -> Response:
    """Keep a review of one reading or of several that a list names.

    Raises:
        OperatorError: none is named, or a name or answer is none.
    """
    keys = [_key(str(said)) for said in visit.form.getlist("key")]
    if not keys:
        raise OperatorError(text("review.none_chosen"))
    reason = visit.value("reason")
    if has_control_characters(reason):
        raise OperatorError("reason: expected one line of text")
    answers = {name: _yes(visit, name) for name in QUESTIONS}
    verdict = Verdict(**answers, reason=reason)
    about = f"{keys[0][0]} {keys[0][1][:8]}-{keys[0][2]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
    after: dict[str, Any] = {**answers, "reason": reason, "readings": len(keys)}
    with page_database(visit.data) as connection:
        number = begin_change(connection, visit.name, "reviewed", about, {}, after)
        done = False
        try:
            count = reviews.review(visit.data, visit.name, keys, verdict)
            done = True
        finally:
            end_change(connection, number, done=done)
    said = text("review.kept_out" if verdict.out else "review.kept_in", count=count)
    back = visit.value("back")
    if back.startswith("/readings?"):
        return visit.go("/readings", said, **dict(parse_qsl(back.partition("?")[2])))
    return visit.go("/reading", said, device=keys[0][0], epoch=keys[0][1], seq=str(keys[0][2]))


def show_reviews(visit: Visit) -> Response:
    """Return the readings that were reviewed out, the newest review first."""
    with log(visit.data) as connection:
        found = reviews.load_out(connection, MOST_SHOWN)
    zones = load_table(visit.data)[1]
    rows = [(one, datetime.fromtimestamp(one.at_s, UTC).astimezone(zones.lab)) for one in found]
    return visit.answer("reviews.html", rows=rows, questions=QUESTIONS, most=MOST_SHOWN)


def send_hard_examples(visit: Visit) -> Response:
    """Return the readings that were reviewed out as CSV, a row for each animal that was found in one."""
    with log(visit.data) as connection:
        rows = [row for one in reviews.load_out(connection, MOST_IN_FILE) for row in _rows(connection, one)]
    return csv_response("hard-examples", _COLUMNS, rows)


def _rows(connection: Any, one: Review) -> list[list[object]]:
    found = find_reading(connection, *one.key)
    if found is None:
        return []
    row, animals = found
    verdict = one.verdict
    said = [
        *(as_cell(one.key[0]), as_cell(one.key[1]), one.key[2], _iso(row["at_s"])),
        *(_word(getattr(verdict, name)) for name in QUESTIONS),
        *(as_cell(verdict.reason), as_cell(one.who), _iso(one.at_s)),
    ]
    own = connection.execute(
        "SELECT estimate_days, accepted, reject_reasons FROM main.animals WHERE device = ? AND epoch = ? AND seq = ? "
        "ORDER BY number",
        one.key,
    ).fetchall()
    sha256 = row["thumbnail_sha256"] or ""
    if not animals:
        return [[*said, "", "", "", sha256]]
    return [[*said, "" if it[0] is None else f"{it[0]:.2f}", _word(bool(it[1])), it[2] or "", sha256] for it in own]


def _key(said: str) -> Key:
    """Return the key that a form names as SEQ:EPOCH:DEVICE; a device's name may hold anything."""
    seq, _, rest = said.partition(":")
    epoch, _, device = rest.partition(":")
    if not (seq.isascii() and seq.isdecimal() and len(seq) < 19 and epoch and device):
        raise OperatorError(f"key: expected SEQ:EPOCH:DEVICE, got {said[:60]!r}")
    return device, epoch, int(seq)


def _yes(visit: Visit, name: str) -> bool:
    said = visit.value(name)
    if said not in ("yes", "no"):
        raise OperatorError(f"{name}: expected yes or no, got {said[:40]!r}")
    return said == "yes"


def _word(yes: bool) -> str:
    return "yes" if yes else "no"


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
