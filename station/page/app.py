"""All addresses of the page, who may ask for them, and the application that answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import FormData, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.routing import Route as Address
from starlette.staticfiles import StaticFiles

from edge.contract.service.systemd_notify import notify
from station.page import (
    entry,
    export,
    labels,
    lapse,
    people,
    requests,
    show_alarms,
    show_animal,
    show_tasks,
    show_wall,
    start,
)
from station.page.alarms.sender import Sender
from station.page.curves import Curves
from station.page.devices import rollouts, show, storage
from station.page.review import show as review
from station.page.roles import Role
from station.page.settings import PageSettings
from station.page.templates import make_templates
from station.page.texts import text
from station.page.trends import Trends
from station.page.watch import Watch
from station.page.web import HEADERS, Page, Route, Visit, endpoint

STATIC = Path(__file__).parent / "static"
WATCHDOG_S = 10.0
MOST_BODY_BYTES = 4 * 2**20
_G, _T, _R, _L, _A = Role.GUEST, Role.TECHNICIAN, Role.RESEARCHER, Role.LEAD, Role.ADMIN

ROUTES = (
    Route("/login", "GET", Role.NOBODY, people.show_login),
    Route("/login", "POST", Role.NOBODY, people.login, once=False),
    Route("/join", "GET", Role.NOBODY, people.show_join),
    Route("/join", "POST", Role.NOBODY, people.take_join, once=False),
    Route("/enter", "GET", Role.NOBODY, people.enter),
    Route("/logout", "POST", _G, people.logout, once=False),
    Route("/account", "GET", _G, people.show_account),
    Route("/account", "POST", _G, people.change_password, once=False),
    Route("/", "GET", _G, show_wall.show_wall),
    Route("/cage", "GET", _G, show_animal.show_cage),
    Route("/picture", "GET", _G, show_wall.show_picture),
    Route("/animals", "GET", _T, entry.list_animals),
    Route("/animal", "GET", _T, show_animal.show_animal),
    Route("/lapse", "GET", _T, lapse.show_lapse),
    Route("/reading", "GET", _T, show_animal.show_reading),
    Route("/readings", "GET", _T, show_animal.list_readings),
    Route("/review", "POST", _T, review.keep_review),
    Route("/reviews", "GET", _T, review.show_reviews),
    Route("/data/hard-examples.csv", "GET", _T, review.send_hard_examples),
    Route("/data/days", "GET", _T, show_animal.send_days),
    Route("/data/readings", "GET", _T, show_animal.send_readings),
    Route("/data/days.csv", "GET", _T, export.send_days_csv),
    Route("/data/readings.csv", "GET", _T, export.send_readings_csv),
    Route("/figure", "GET", _T, export.send_figure),
    Route("/animal/weigh", "POST", _T, entry.weigh_animal),
    Route("/animal/move", "POST", _T, entry.move_animal),
    Route("/animal/end", "POST", _T, entry.end_animal),
    Route("/note", "POST", _T, entry.note),
    Route("/device", "POST", _T, entry.decide_device),
    Route("/device/request", "POST", _T, requests.ask_device),
    Route("/devices", "GET", _T, show.show_devices),
    Route("/device", "GET", _T, show.show_device),
    Route("/device/place", "POST", _R, show.place_device),
    Route("/device/replace", "POST", _R, show.replace_board),
    Route("/data/health", "GET", _T, show.send_health),
    Route("/data/view", "GET", _T, show.send_view),
    Route("/storage", "GET", _T, storage.show_storage),
    Route("/rollouts", "GET", _T, rollouts.show_rollouts),
    Route("/rollout", "GET", _T, rollouts.show_rollout),
    Route("/alarms", "GET", _T, show_alarms.show_alarms),
    Route("/alarm", "GET", _T, show_alarms.show_alarm),
    Route("/alarm", "POST", _T, show_alarms.decide_alarm),
    Route("/tasks", "GET", _T, show_tasks.show_tasks),
    Route("/tasks", "POST", _T, show_tasks.keep_task),
    Route("/task", "POST", _T, show_tasks.end_task),
    Route("/labels", "GET", _T, labels.show_labels),
    Route("/labels/code.svg", "GET", _T, labels.send_code),
    Route("/start", "GET", _T, start.show_start),
    Route("/start/zone", "POST", _L, start.keep_zone),
    Route("/animals/enrol", "GET", _R, entry.show_enrol),
    Route("/animals/check", "POST", _R, entry.check_enrol, once=False),
    Route("/animals/enrol", "POST", _R, entry.enrol),
    Route("/animal/edit", "POST", _R, entry.edit_animal),
    Route("/changes", "GET", _L, people.show_changes),
    Route("/people", "GET", _L, people.show_people),
    Route("/people/invite", "POST", _L, people.make_invitation, once=False),
    Route("/people/change", "POST", _A, people.change_person),
    Route("/alarms/channels", "GET", _A, show_alarms.show_channels),
    Route("/alarms/channels", "POST", _A, show_alarms.keep_channel),
    Route("/alarms/channel", "POST", _A, show_alarms.decide_channel),
)
"""Everything but `/events` (for guests too), `/static` and `/alive`."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def make_page(settings: PageSettings) -> Page:
    """Return the parts of the page over a station's folder; nothing runs yet."""
    data = Path(settings.data)
    enter_token = secrets.token_urlsafe(24) if settings.token else ""
    watch = Watch(data, settings.not_seen_hours)
    sender = Sender(data, settings.url)
    return Page(
        settings, make_templates(), watch, Curves(data), sender, Trends(data), enter_token, secrets.token_urlsafe(24)
    )


def make_app(page: Page) -> Starlette:
    """Return the application."""

    @asynccontextmanager
    async def watching(_: Starlette) -> AsyncIterator[None]:
        page.watch.start()
        page.sender.start()
        notify("READY=1\nSTATUS=serving")
        feeding = asyncio.create_task(_feed_watchdog(page))
        try:
            yield
        finally:
            feeding.cancel()
            page.sender.stop()
            page.watch.stop()

    routes: list[Any] = [Address(route.path, endpoint(page, route), methods=[route.method]) for route in ROUTES]
    routes += [
        Address("/events", show_wall.stream_events(page)),
        Address("/alive", _alive),
        Mount("/static", _Static(directory=STATIC)),
    ]
    return Starlette(
        routes=routes,
        lifespan=watching,
        exception_handlers={HTTPException: _refused(page), Exception: _failed(page)},
        middleware=[
            Middleware(_Safe),
            Middleware(
                TrustedHostMiddleware, allowed_hosts=list(dict.fromkeys(page.settings.hosts)), www_redirect=False
            ),
            Middleware(_Bounded),
            Middleware(GZipMiddleware, minimum_size=500, compresslevel=6),
        ],
    )


async def _feed_watchdog(page: Page) -> None:
    """Tell systemd that the loop that answers turns, and that the thread that watches the log lives."""
    while page.watch.lives():
        notify("WATCHDOG=1")
        await asyncio.sleep(WATCHDOG_S)


class _Static(StaticFiles):
    """The page's own files; asked again each time, answered with "not modified" where nothing changed."""

    def file_response(self, *arguments: Any, **more: Any) -> Response:
        found = super().file_response(*arguments, **more)
        found.headers["Cache-Control"] = "no-cache"
        return found


class _Safe:
    """Sets the headers of safety on every answer; what a person sees is kept by no cache."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)


class _Bounded:
    """Refuses a body that is too long before anything reads it."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > MOST_BODY_BYTES:
            await PlainTextResponse(text("problem.too_long"), 413)(scope, receive, send)
            return
        taken = 0

        async def receive_bounded() -> MutableMapping[str, Any]:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY_BYTES:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_bounded, send)


async def _alive(_: Request) -> Response:
    return PlainTextResponse("alive\n")


def _refused(page: Page) -> Any:
    async def answer(request: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 500
        key = {404: "problem.missing", 405: "problem.missing", 413: "problem.too_long"}.get(code, "problem.form")
        visit = Visit(page, request, None, FormData())
        return visit.answer("problem.html", code, title=text(key), said=text("problem.missing_why"))

    return answer


def _failed(page: Page) -> Any:
    async def answer(request: Request, _: Exception) -> Response:
        visit = Visit(page, request, None, FormData())
        return visit.answer("problem.html", 500, title=text("problem.failed"), said=text("problem.failed_why"))

    return answer
