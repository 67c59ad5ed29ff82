"""The wall, its live updates, and pictures."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from station.page.accounts import find_session
from station.page.database import page_database
from station.page.pictures import read_picture
from station.page.read import find_picture, load_table, log
from station.page.roles import Role
from station.page.wall import Card, count_needs, sort_by_need
from station.page.watch import GONE
from station.page.web import Page, Visit

BEAT_S = 20.0
"""A comment so often keeps proxies from closing a silent stream, and finds out that a browser has gone."""
RENEW_S = 300.0
"""Who was signed out, or lost a role, hears nothing after so long."""
SIZES = (96, 0)


def show_wall(visit: Visit) -> Response:
    """Return the wall."""
    visit.page.watch.wait_for_a_look()
    cards = sort_by_need(visit.page.watch.cards.values())
    words = visit.value("q")
    only = visit.value("show")
    chosen = [card for card in cards if _matches(card, words, only)]
    return visit.answer(
        "wall.html",
        cards=chosen,
        all_cards=len(cards),
        counts=count_needs(cards),
        words=words,
        only=only,
        version=visit.page.watch.version,
        running=visit.page.watch.running,
        animals_known=bool(cards) or bool(load_table(visit.data)[0]),
    )


def card_id(card: Card) -> str:
    """Return a short name for the card's element; a device's own name may hold anything."""
    return "c" + hashlib.sha256(card.device.encode()).hexdigest()[:10]


def show_picture(visit: Visit) -> Response:
    """Return a stored picture, small where `size` says so; its address names its digest, so it never changes.

    Without `seq` it is one that the wall shows, or showed a moment ago.
    """
    device, epoch = visit.value("device"), visit.value("epoch")
    try:
        size = int(visit.value("size") or 0)
        seq = int(visit.value("seq")) if "seq" in visit.request.query_params else None
    except ValueError:
        seq, size = -1, 0
    digest = visit.value("v")
    content = None
    if size in SIZES and (seq is None or 0 <= seq < 2**63):
        if seq is None:
            found = visit.page.watch.find_shown(device, digest)
        else:
            with log(visit.data) as connection:
                found = find_picture(connection, device, epoch, seq)
        if found is not None and found.sha256.startswith(digest) and len(digest) >= 8:
            content = read_picture(visit.data, found, size)
    if content is None:
        return Response("there is no such picture", 404, media_type="text/plain")
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "Content-Disposition": "inline"}
    return Response(content, media_type="image/jpeg", headers=headers)


def stream_events(page: Page) -> Any:
    """Return the endpoint of the live updates: one event for each change of the wall, to one browser."""

    async def answer(request: Request) -> Response:
        visit = await run_in_threadpool(_signed_in, page, request)
        if visit is None:
            return Response("sign in", 401, media_type="text/plain")
        queue: asyncio.Queue[int] = asyncio.Queue()
        if not page.watch.listen(queue, asyncio.get_running_loop()):
            return Response("too many browsers listen", 503, media_type="text/plain")
        last = request.headers.get("last-event-id", request.query_params.get("since", "0"))
        since = int(last) if last.isascii() and last.isdecimal() and len(last) < 15 else 0
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_events(visit, queue, since), media_type="text/event-stream", headers=headers)

    return answer


async def _events(visit: Visit, queue: asyncio.Queue[int], since: int) -> AsyncIterator[str]:
    page, waited_s = visit.page, 0.0
    try:
        yield "retry: 2000\n\n"
        if since > page.watch.version:
            since = 0  # the page was started anew meanwhile
        queue.put_nowait(page.watch.version)
        while True:
            try:
                version = await asyncio.wait_for(queue.get(), BEAT_S)
            except TimeoutError:
                waited_s += BEAT_S
                if waited_s >= RENEW_S:
                    waited_s = 0.0
                    if await run_in_threadpool(_signed_in, page, visit.request) is None:
                        return
                yield ": still here\n\n"
                continue
            if version == GONE:
                return
            if version > since:
                text = await run_in_threadpool(_news, visit, since)
                yield f"id: {version}\nevent: wall\ndata: {text}\n\n"
                since = version
    finally:
        page.watch.leave(queue)


def _news(visit: Visit, since: int) -> str:
    """Return the changed cards and the order of all as one line of JSON."""
    watch = visit.page.watch
    cards = sort_by_need(watch.cards.values())
    changed = watch.changed_since(since)
    values = {
        "cards": {card_id(card): visit.render("_card.html", card=card) for card in changed},
        "order": [card_id(card) for card in cards],
        "summary": visit.render("_summary.html", counts=count_needs(cards), running=watch.running),
    }
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _signed_in(page: Page, request: Request) -> Visit | None:
    visit = Visit(page, request, None, FormData())
    token = request.cookies.get(page.cookie)
    if token:
        with page_database(visit.data) as connection:
            visit.session = find_session(connection, token)
    return visit if visit.role >= Role.GUEST else None


def _matches(card: Card, words: str, only: str) -> bool:
    if only == "need" and card.need < 2:
        return False
    said = " ".join((card.device, card.newest.cage, *card.animals)).casefold()
    return all(word in said for word in words.casefold().split())
