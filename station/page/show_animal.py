"""A cage, an animal, a reading, and the numbers behind their curves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from edge.errors import OperatorError
from station.page.curves import Wanted
from station.page.drawn import find_drawn
from station.page.notes import load_notes, load_weighings
from station.page.read import (
    devices_of_animal,
    find_neighbours,
    find_picture,
    find_reading,
    load_readings,
    load_table,
    log,
)
from station.page.requests import fleet_runs, load_requests
from station.page.roles import Role
from station.page.series import pack_readings, unpack
from station.page.texts import text
from station.page.web import Visit
from station.registry.reviews import load_reviews
from station.registry.subject import Subject

MOST_CURVES = 8
"""On a cage's page; further ones are linked."""


def show_cage(visit: Visit) -> Response:
    """Return the page of the cage that a device looks at."""
    device = visit.value("device")
    visit.page.watch.wait_for_a_look()
    card = visit.page.watch.cards.get(device)
    if card is None:
        return missing(visit, text("cage.unknown", device=device))
    wanted = [Wanted("animal", name) for name in card.animals]
    if not wanted or any(not age.named and age.readings for age in card.ages):
        wanted.append(Wanted("cage", card.newest.cage, device))
    with_curves = visit.role >= Role.TECHNICIAN
    return visit.answer(
        "cage.html",
        card=card,
        curves=[_curve(visit, one) for one in wanted[:MOST_CURVES]] if with_curves else [],
        notes=load_notes(visit.data, "cage", device),
        requests=load_requests(visit.data, device) if with_curves else (),
        fleet_runs=with_curves and fleet_runs(visit.data),
        today=today(card.zone),
    )


def show_animal(visit: Visit) -> Response:
    """Return the page of an animal."""
    name = visit.value("name")
    subjects, zones = load_table(visit.data)
    subject = next((one for one in subjects if one.subject == name), None)
    found = _curve(visit, Wanted("animal", name))
    if subject is None and not found["head"]["captures_in_all"]:
        return missing(visit, text("animal.unknown", name=name))
    device = found["head"]["device"].split(", ")[0] if found["head"]["device"] else None
    cards = visit.page.watch.cards.values()
    return visit.answer(
        "animal.html",
        name=name,
        subject=subject,
        curves=[found],
        devices=found["head"]["device"].split(", ") if found["head"]["device"] else [],
        notes=load_notes(visit.data, "animal", name),
        weighings=load_weighings(visit.data, name),
        today=today(zones.of(device)),
        cages=sorted({(card.newest.cage, card.device) for card in cards}),
        home=_home(subject, visit),
    )


def show_reading(visit: Visit) -> Response:
    """Return one reading: its picture, what was made of it, and why."""
    device, epoch = visit.value("device"), visit.value("epoch")
    try:
        seq = int(visit.value("seq"))
        with log(visit.data) as connection:
            found = find_reading(connection, device, epoch, seq)
            picture = find_picture(connection, device, epoch, seq)
            drawn = find_drawn(connection, device, epoch, seq)
            said = load_reviews(connection, (device, epoch, seq))
            before, after = (
                (None, None) if found is None else find_neighbours(connection, device, found[0]["captured_s"])
            )
    except (ValueError, OverflowError):
        found = None
    if found is None:
        return missing(visit, text("reading.unknown"))
    row, animals = found
    _, zones = load_table(visit.data)
    template = "_reading.html" if visit.value("part") else "reading.html"
    return visit.answer(
        template,
        row=row,
        animals=animals,
        picture=picture,
        drawn=drawn,
        reviews=said,
        review_key=key_of(device, epoch, seq),
        zone=zones.of(device),
        before=before,
        after=after,
        at=datetime.fromtimestamp(row["at_s"], UTC).astimezone(zones.of(device)),
    )


def list_readings(visit: Visit) -> Response:
    """Return the readings of a window as a list: what the curve shows to who cannot point at it."""
    wanted, devices = find_wanted(visit)
    from_s, until_s = find_window(visit)
    found = load_readings(visit.data, devices, wanted.name, wanted.kind == "animal", from_s, until_s)
    _, zones = load_table(visit.data)
    zone = zones.of(devices[0] if devices else None)
    rows = [(datetime.fromtimestamp(one.at_s, UTC).astimezone(zone), one) for one in found]
    more: dict[str, Any] = {"from_s": from_s, "until_s": until_s, "zone": zone, "key_of": key_of}
    back = f"/readings?{visit.request.url.query}"
    return visit.answer("readings.html", wanted=wanted, rows=rows, back=back, **more)


def send_days(visit: Visit) -> Response:
    """Return a curve by day as columns."""
    wanted, _ = find_wanted(visit)
    return _binary(visit.page.curves.days(wanted))


def send_readings(visit: Visit) -> Response:
    """Return the readings of a window as columns."""
    wanted, devices = find_wanted(visit)
    from_s, until_s = find_window(visit)
    found = load_readings(visit.data, devices, wanted.name, wanted.kind == "animal", from_s, until_s)
    return _binary(pack_readings(found))


def missing(visit: Visit, said: str) -> Response:
    """Return the page that says what is not there."""
    return visit.answer("problem.html", 404, title=text("problem.missing"), said=said)


def today(zone: Any) -> str:
    """Return the day that it is in a room, for a form."""
    return datetime.now(UTC).astimezone(zone).date().isoformat()


def _binary(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream")


def _curve(visit: Visit, wanted: Wanted) -> dict[str, Any]:
    head, _ = unpack(visit.page.curves.days(wanted))
    weeks = [week for week in head["weeks"] if week["captures"] or week["readings"]]
    newest = next((week for week in reversed(weeks) if week["age"] is not None), None)
    trend, corrected = visit.page.trends.trend(), None
    if trend is not None and newest is not None and newest["true"] is not None:
        corrected = newest["age"] - (trend.offset_days + trend.slope * newest["true"])
    return {
        "wanted": wanted,
        "head": head,
        "weeks": list(reversed(weeks)),
        "newest": newest,
        "corrected": corrected,
        "trend": trend,
        "trend_known": visit.page.trends.known,
    }


def find_wanted(visit: Visit) -> tuple[Wanted, list[str]]:
    """Return whose curve an address asks for, and the devices that may have seen it."""
    kind, name, device = visit.value("kind"), visit.value("name"), visit.value("device")
    if kind == "cage":
        return Wanted("cage", name, device), [device]
    if kind != "animal":
        raise OperatorError(f"kind: expected animal or cage, got {kind!r}")
    with log(visit.data) as connection:
        return Wanted("animal", name), devices_of_animal(connection, name)


def find_window(visit: Visit) -> tuple[float, float]:
    """Return the window of time that an address asks for, Unix seconds."""
    try:
        from_s, until_s = float(visit.value("from")), float(visit.value("until"))
    except ValueError:
        raise OperatorError("from, until: expected Unix seconds") from None
    if not 0 <= from_s < until_s < 1e11:
        raise OperatorError("from, until: expected Unix seconds, the first below the second")
    return from_s, until_s


def key_of(device: str, epoch: str, seq: int) -> str:
    """Return how a form names a reading."""
    return f"{seq}:{epoch}:{device}"


def _home(subject: Subject | None, visit: Visit) -> str | None:
    """Return the device that looks at an animal's cage now, None where none does."""
    if subject is None:
        return None
    return next((card.device for card in visit.page.watch.cards.values() if subject.subject in card.animals), None)
