"""Labels for cages: a QR code that opens the cage's page on a phone."""

from __future__ import annotations

import io

import segno
from starlette.responses import Response

from station.page.show_animal import missing
from station.page.texts import text
from station.page.wall import in_order
from station.page.web import Visit, query


def show_labels(visit: Visit) -> Response:
    """Return a sheet of labels to print: of all cages, or of the one that is named."""
    device = visit.value("device")
    cards = [card for card in visit.page.watch.cards.values() if not card.retired]
    cards.sort(key=lambda card: (in_order(card.newest.cage), card.device))
    chosen = [card for card in cards if not device or card.device == device]
    if device and not chosen:
        return missing(visit, text("cage.unknown", device=device))
    return visit.answer("labels.html", cards=chosen, address=visit.page.settings.url)


def send_code(visit: Visit) -> Response:
    """Return a cage's QR code as SVG."""
    device = visit.value("device")
    if device not in visit.page.watch.cards:
        return Response("there is no such cage", 404, media_type="text/plain")
    target = io.BytesIO()
    code = segno.make(visit.page.settings.url + query("/cage", device=device), error="m")
    code.save(target, kind="svg", scale=4, border=2, dark="#000", light="#fff", xmldecl=True)
    return Response(target.getvalue(), media_type="image/svg+xml")
