"""The pages of devices: all of them, one with its health over time, and what people decide about it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from edge.errors import OperatorError
from station.fleet.keep.devices import Heard
from station.page.database import page_database
from station.page.devices import facts
from station.page.devices.fleet import load_reports
from station.page.devices.places import Place, keep_place, load_boards, load_places, replace_device
from station.page.devices.samples import Sample, load_newest, load_samples
from station.page.read import load_table, log
from station.page.requests import fleet_runs, load_requests
from station.page.series import pack
from station.page.show_animal import missing
from station.page.templates import day
from station.page.texts import text
from station.page.wall import Card, in_order, sort_by_need
from station.page.web import Visit

SPANS_DAYS = (2, 14, 90, 730)
PLOTS: tuple[tuple[str, str, float], ...] = (
    ("temperature_c", "temperature", 1.0),
    ("disk_used", "disk", 100.0),
    ("memory_bytes", "memory", 1e-6),
    ("waiting", "waiting", 1.0),
    ("recovered", "recovered", 1.0),
)
"""Column of a sample, the key of its text, and by what it is multiplied for people."""
VIEW_PLOTS = (("shift", "shift", facts.MOVED_PX), ("grey", "grey", None), ("sharpness", "sharp", None))
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Line:
    """One device in the list."""

    card: Card
    place: Place
    sample: Sample | None
    heard: Heard | None


def show_devices(visit: Visit) -> Response:
    """Return all devices, who needs somebody first."""
    visit.page.watch.wait_for_a_look()
    with page_database(visit.data) as connection:
        places, newest = load_places(connection), load_newest(connection)
    reports = load_reports(visit.data)
    words = visit.value("q").casefold().split()
    lines = [
        Line(card, places.get(card.device, Place()), newest.get(card.device), reports.get(card.device))
        for card in sort_by_need(visit.page.watch.cards.values())
    ]
    chosen = [line for line in lines if all(word in _said(line) for word in words)]
    return visit.answer("devices.html", lines=chosen, count=len(lines), words=visit.value("q"))


def show_device(visit: Visit) -> Response:
    """Return one device: what it is, how it is and was, which model since when, and what can be asked of it."""
    device = visit.value("name")
    visit.page.watch.wait_for_a_look()
    card = visit.page.watch.cards.get(device)
    if card is None:
        return missing(visit, text("cage.unknown", device=device))
    days = _span(visit)
    with page_database(visit.data) as connection:
        samples = load_samples(connection, device, time.time() - days * 86400.0)
        newest, boards = load_newest(connection).get(device), load_boards(connection, device)
        places = load_places(connection)
    with log(visit.data) as connection:
        info, models = facts.load_info(connection, device), facts.load_models(connection, device)
        views, clock = facts.load_view(connection, device), facts.load_clock(connection, device)
        happenings = facts.load_happenings(connection, device)
    others = [one.device for one in visit.page.watch.cards.values() if one.device != device and not one.retired]
    return visit.answer(
        "device.html",
        card=card,
        place=places.get(device, Place()),
        stands_for=sorted(name for name, one in places.items() if one.replaced_by == device),
        info=info,
        newest=newest,
        samples=samples,
        by_day=by_day(samples, card),
        hottest=_most(one.temperature_c for one in samples),
        fullest=_most(one.disk_used for one in samples),
        days=days,
        spans=SPANS_DAYS,
        boards=boards,
        models=models,
        heard=load_reports(visit.data).get(device),
        views=views,
        moved=facts.describe_view(views),
        moved_px=facts.MOVED_PX,
        clock=clock,
        happenings=happenings,
        requests=load_requests(visit.data, device, 20),
        fleet_runs=fleet_runs(visit.data),
        others=sorted(others, key=in_order),
    )


def send_health(visit: Visit) -> Response:
    """Return a device's samples as columns, and how they are to be drawn."""
    with page_database(visit.data) as connection:
        samples = load_samples(connection, visit.value("device"), time.time() - _span(visit) * 86400.0)
    columns = {"at": [one.at_s for one in samples]}
    for name, _, factor in PLOTS:
        values = [getattr(one, name) for one in samples]
        columns[name] = [NAN if value is None else value * factor for value in values]
    plots = [{"label": text(f"health.{key}"), "series": [{"name": name}]} for name, key, _ in PLOTS]
    return Response(pack(columns, {"plots": plots}), media_type="application/octet-stream")


def send_view(visit: Visit) -> Response:
    """Return how far a camera's view has moved, and how bright and sharp it is, by day, as columns."""
    with log(visit.data) as connection:
        views = facts.load_view(connection, visit.value("device"))
    columns = {
        "at": [one.at_s for one in views],
        "shift": [NAN if one.shift_px is None else one.shift_px for one in views],
        "grey": [one.mean_grey for one in views],
        "sharpness": [one.sharpness for one in views],
    }
    plots = [
        {"label": text(f"view.{key}"), "series": [{"name": name}], "limit": limit}
        for name, key, limit in (
            ("shift", "shift", facts.MOVED_PX),
            ("grey", "grey", None),
            ("sharpness", "sharp", None),
        )
    ]
    return Response(pack(columns, {"plots": plots}), media_type="application/octet-stream")


def place_device(visit: Visit) -> Response:
    """Keep what people call a device, and where it stands."""
    device = _known(visit, "device")
    changed = keep_place(visit.data, visit.name, device, visit.value("label"), visit.value("room"), visit.value("rack"))
    return visit.go("/device", text("animal.saved") if changed else text("animal.same"), name=device)


def replace_board(visit: Visit) -> Response:
    """Let another device take this one's place."""
    old, new = _known(visit, "device"), _known(visit, "by")
    names = replace_device(visit.data, visit.name, old, new, load_table(visit.data)[1])
    visit.page.watch.look_again()
    said = text("device.replaced", device=old, animals=", ".join(names) or text("device.replaced_none"))
    return visit.go("/device", said, name=new)


def by_day(samples: list[Sample], card: Card) -> list[dict[str, Any]]:
    """Return the samples by day of the room, the newest day first: hottest, fullest, most that waited."""
    found: dict[str, list[Sample]] = {}
    for one in samples:
        found.setdefault(day(one.at_s, card.zone), []).append(one)
    return [
        {
            "day": name,
            "temperature": _most(one.temperature_c for one in of),
            "disk": _most(one.disk_used for one in of),
            "memory": -(_most(None if one.memory_bytes is None else -one.memory_bytes for one in of) or 0.0) or None,
            "waiting": _most(one.waiting for one in of),
            "recovered": _most(one.recovered for one in of),
            "problems": sorted({code for one in of for code in one.problems}),
        }
        for name, of in sorted(found.items(), reverse=True)
    ]


def _most(values: Any) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _known(visit: Visit, name: str) -> str:
    device = visit.value(name)
    if device not in visit.page.watch.cards:
        raise OperatorError(text("cage.unknown", device=device[:80]))
    return device


def _span(visit: Visit) -> int:
    said = visit.value("days")
    return int(said) if said in {str(one) for one in SPANS_DAYS} else SPANS_DAYS[1]


def _said(line: Line) -> str:
    place = line.place
    words = (line.card.device, line.card.newest.cage, place.label, place.room, place.rack)
    return " ".join((*words, *(problem.code for problem in line.card.problems))).casefold()
