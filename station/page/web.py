"""What every answer of the page goes through: who asks, may they, is the form theirs, and the headers of safety."""

from __future__ import annotations

import logging
import re
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from edge.errors import CageclockError, OperatorError
from station.page.accounts import Session, digest_of, find_session, is_masked, mask
from station.page.alarms.alarm import count_active
from station.page.changes import claim_form, settle_form
from station.page.curves import Curves
from station.page.database import page_database
from station.page.rate import Limit
from station.page.roles import Role
from station.page.settings import PageSettings
from station.page.tasks import count_due
from station.page.texts import text
from station.page.trends import Trends
from station.page.watch import Watch

if TYPE_CHECKING:
    from station.page.alarms.sender import Sender

LOG = logging.getLogger("station.page")
COOKIE = "cageclock"
_ONCE = re.compile(r"[0-9a-f]{32}")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "X-Frame-Options": "DENY",
}


@dataclass(slots=True)
class Page:
    """The parts that all handlers share. enter_token: of an address that signs in, for one person at this machine."""

    settings: PageSettings
    templates: Environment
    watch: Watch
    curves: Curves
    sender: Sender
    trends: Trends
    enter_token: str = ""
    setup_token: str = ""
    sign_ins: Limit = field(default_factory=lambda: Limit(10, 600.0))
    sign_ins_of_all: Limit = field(default_factory=lambda: Limit(120, 600.0))
    writes: Limit = field(default_factory=lambda: Limit(120, 60.0))

    @property
    def cookie(self) -> str:
        """The cookie's name; with HTTPS one that no other host, and nothing unencrypted, can set."""
        return f"__Host-{COOKIE}" if self.settings.secure else COOKIE


@dataclass(slots=True)
class Visit:
    """One request of one person, as a handler gets it; handlers run in a thread of their own."""

    page: Page
    request: Request
    session: Session | None
    form: FormData

    @property
    def role(self) -> Role:
        """What the person may do."""
        return self.session.user.role if self.session is not None else Role.NOBODY

    @property
    def name(self) -> str:
        """The person's name, for the list of changes."""
        return self.session.user.name if self.session is not None else ""

    def value(self, name: str) -> str:
        """Return a field of the form or of the address, trimmed; "" where there is none."""
        found = self.form.get(name) if name in self.form else self.request.query_params.get(name)
        return found.strip() if isinstance(found, str) else ""

    def answer(self, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page made of a template."""
        return HTMLResponse(self.render(template, **values), status)

    def render(self, template: str, **values: Any) -> str:
        """Return a template's text."""
        shared = {
            "visit": self,
            "role": self.role,
            "Role": Role,
            "csrf": mask(self.session.csrf) if self.session is not None else "",
            "once": partial(secrets.token_hex, 16),
            "flash": self._take_flash() if template.endswith(".html") and not template.startswith("_") else "",
            "path": self.request.url.path,
            "trouble": self.page.watch.trouble,
            "open_alarms": partial(count_active, self.page.watch.alarms),
            "due_tasks": self._due_tasks,
        }
        return self.page.templates.get_template(template).render(shared | values)

    def go(self, path: str, said: str = "", **query: str) -> Response:
        """Return the way to another page, which will say something once."""
        if said and self.session is not None:
            with page_database(self.data) as connection:
                connection.execute(
                    "UPDATE sessions SET flash = ? WHERE token = ?", (said, digest_of(self.session.token))
                )
        return RedirectResponse(path + (f"?{urlencode(query)}" if query else ""), 303)

    @property
    def data(self) -> Path:
        """The station's folder."""
        return Path(self.page.settings.data)

    def _due_tasks(self) -> int:
        """Return how many tasks are due today or late, for the menu."""
        with page_database(self.data) as connection:
            return count_due(connection, datetime.now(UTC).date().isoformat())

    def _take_flash(self) -> str:
        if self.session is None:
            return ""
        with page_database(self.data) as connection:
            key = digest_of(self.session.token)
            row = connection.execute("SELECT flash FROM sessions WHERE token = ?", (key,)).fetchone()
            if row is None or not row["flash"]:
                return ""
            connection.execute("UPDATE sessions SET flash = '' WHERE token = ?", (key,))
            return str(row["flash"])


Handler = Callable[[Visit], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the page. role: the least that may ask. once: a form that must count once."""

    path: str
    method: str
    role: Role
    handler: Handler
    once: bool = True


def endpoint(page: Page, route: Route) -> Callable[[Request], Awaitable[Response]]:
    """Return what Starlette calls: everything that stands between a request and its handler."""

    async def answer(request: Request) -> Response:
        form = FormData()
        if route.method == "POST":
            form = await request.form(max_files=0, max_fields=600, max_part_size=1 << 20)
        return await run_in_threadpool(partial(_guarded, page, route, request, form))

    return answer


def _guarded(page: Page, route: Route, request: Request, form: FormData) -> Response:
    visit = Visit(page, request, None, form)
    try:
        token = request.cookies.get(page.cookie)
        if token:
            with page_database(visit.data) as connection:
                visit.session = find_session(connection, token)
        refused = _refusal(visit, route)
        return _for_script(visit, refused if refused is not None else _handled(visit, route))
    except OperatorError as error:
        return visit.answer("problem.html", 400, title=text("problem.refused"), said=str(error))
    except (CageclockError, sqlite3.Error) as error:
        LOG.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
        return visit.answer("problem.html", 503, title=text("problem.failed"), said=str(error))


def _for_script(visit: Visit, response: Response) -> Response:
    """Return where to go in a header where a script sent the form: it would follow the way itself, unseen."""
    if response.status_code == 303 and visit.request.headers.get("x-sent"):
        return Response(status_code=200, headers={"X-Go": response.headers["location"]})
    return response


def _refusal(visit: Visit, route: Route) -> Response | None:
    """Return why a request is not answered, None where it is."""
    if visit.role < route.role:
        if visit.session is None:
            if route.method == "GET" and not visit.request.url.path.startswith(("/data/", "/events", "/picture")):
                back = visit.request.url.path + (f"?{visit.request.url.query}" if visit.request.url.query else "")
                return RedirectResponse(f"/login?{urlencode({'next': back})}", 303)
            return visit.answer("problem.html", 401, title=text("problem.sign_in"), said=text("problem.sign_in_why"))
        said = text("problem.role_why", needed=text(f"role.{route.role.word}"), own=text(f"role.{visit.role.word}"))
        return visit.answer("problem.html", 403, title=text("problem.role"), said=said)
    if route.method != "POST":
        return None
    if not _is_own_form(visit):
        return visit.answer("problem.html", 403, title=text("problem.form"), said=text("problem.form_why"))
    who = visit.name or (visit.request.client.host if visit.request.client else "")
    wait_s = visit.page.writes.wait_s(who)
    if wait_s:
        return too_often(visit, wait_s)
    return None


def too_often(visit: Visit, wait_s: float) -> Response:
    """Return the answer to somebody who tries too often."""
    said = text("problem.often_why", minutes=max(1, round(wait_s / 60)))
    found = visit.answer("problem.html", 429, title=text("problem.often"), said=said)
    found.headers["Retry-After"] = str(int(wait_s) + 1)
    return found


def _is_own_form(visit: Visit) -> bool:
    """Return whether a form comes from a page of ours: by the browser's word where it gives one, and by the token."""
    headers = visit.request.headers
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return False
    if visit.session is None:  # signing in, joining: no session to misuse yet, and the checks above hold
        return origin is not None or "sec-fetch-site" in headers
    token = headers.get("x-csrf") or visit.value("csrf")
    return is_masked(token, visit.session.csrf)


def _handled(visit: Visit, route: Route) -> Response:
    once = visit.value("once") if route.method == "POST" and route.once else ""
    if not once:
        return route.handler(visit)
    if not _ONCE.fullmatch(once):
        return visit.answer("problem.html", 400, title=text("problem.form"), said=text("problem.form_why"))
    with page_database(visit.data) as connection:
        first = claim_form(connection, once)
    if first is not None:
        if first:
            return RedirectResponse(first, 303)
        return visit.answer("problem.html", 409, title=text("problem.twice"), said=text("problem.twice_why"))
    location: str | None = None
    try:
        response = route.handler(visit)
        if response.status_code == 303:
            location = response.headers["location"]
    finally:
        with page_database(visit.data) as connection:
            settle_form(connection, once, location)
    return response


def query(path: str, **values: str | int | float) -> str:
    """Return an address with its query, for templates."""
    return path + ("?" + urlencode(values) if values else "")


def shown(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return values for people, in order, without those that are empty."""
    return [(key, str(value)) for key, value in values.items() if value not in (None, "")]
