"""Who may see and do what: every address for every role, forms of other sites, names and pictures that mean harm."""

from __future__ import annotations

import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image

from station.page.app import ROUTES
from station.page.read import log
from station.page.roles import GIVEN, Role
from tests.station.page.lab import PASSWORD, Browserless, PageProcess, add_people, fill

HOSTILE = '<script>alert("x")</script>'
NAMES = ((HOSTILE, '"><img src=x onerror=alert(1)>'), ("../../etc/passwd", "cage-2"), ("=cmd|' /C calc'!A0", "c?a&b#c"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageProcess]:
    data = tmp_path_factory.mktemp("guard") / "lab"
    fill(data, 4, days=12, names=NAMES)
    add_people(data)
    with PageProcess(data) as found:
        yield found


class Tags(HTMLParser):
    """All tags of a text with their attributes, as a browser takes them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def visitor(page: PageProcess, role: Role) -> Browserless:
    found = Browserless(page.port)
    if role is not Role.NOBODY:
        assert found.sign_in(role.word) == 303
    return found


@pytest.fixture(scope="module")
def people(page: PageProcess) -> dict[Role, Browserless]:
    return {role: visitor(page, role) for role in Role}


VALUES = {"device": "cage-4", "name": "M4", "kind": "animal", "from": "0", "until": "9e9", "token": "no"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_address_answers_those_of_its_role_and_above_and_nobody_else(
    route: object, people: dict[Role, Browserless]
) -> None:
    """Forms are sent with wrong values, so that those that are allowed change nothing either."""
    from station.page.web import Route

    assert isinstance(route, Route)
    if route.path == "/logout":
        return  # it would sign the others out
    for role, who in people.items():
        if route.method == "GET":
            status = who.get(f"{route.path}?{urlencode(VALUES)}")
        else:
            who.get("/account")
            status = who.post(route.path, who.hidden() | {"name": "nobody of that name", "role": "nothing"})
        allowed = role >= route.role
        refused = status in (401, 403) or (status == 303 and who.answer.getheader("location", "").startswith("/login"))
        if route.role is Role.NOBODY:
            continue
        assert refused is not allowed, (role, route.method, route.path, status)
        assert status < 500


def test_the_live_updates_are_for_who_has_signed_in(page: PageProcess) -> None:
    assert Browserless(page.port).get("/events") == 401


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.method == "POST" and r.role > Role.NOBODY], ids=lambda r: r.path
)
def test_a_form_of_another_site_is_refused(route: object, people: dict[Role, Browserless]) -> None:
    from station.page.web import Route

    assert isinstance(route, Route)
    admin = people[Role.ADMIN]
    for values, headers in (
        ({}, {}),
        ({"csrf": "0" * 128}, {}),
        (None, {"Origin": "https://evil.example"}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
    ):
        admin.get("/account")
        sent = admin.hidden() if values is None else values
        assert admin.post(route.path, sent, **headers) == 403


def test_signing_in_from_another_site_is_refused(page: PageProcess) -> None:
    nobody = Browserless(page.port)
    values = {"name": "admin", "password": PASSWORD}
    assert nobody.post("/login", values, Origin="https://evil.example") == 403
    assert nobody.post("/login", values, Origin="null") == 403
    assert nobody.cookie == ""


def test_another_host_name_is_refused(page: PageProcess) -> None:
    """A page elsewhere whose name is pointed at this machine could read everything otherwise."""
    assert Browserless(page.port).get("/login", Host="evil.example") == 400


@pytest.mark.parametrize(
    "goal", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\n"]
)
def test_signing_in_leads_to_no_other_site(goal: str, page: PageProcess) -> None:
    found = Browserless(page.port)
    assert found.post("/login", {"name": "lead", "password": PASSWORD, "next": goal}) == 303
    assert found.answer.getheader("location") == "/"


def test_every_answer_forbids_foreign_scripts_frames_and_caches(people: dict[Role, Browserless]) -> None:
    admin = people[Role.ADMIN]
    for path in ("/", "/nothing", "/animal?name=M4", "/static/page.css", "/picture?device=x"):
        admin.get(path)
        policy = admin.answer.getheader("content-security-policy", "")
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert admin.answer.getheader("x-content-type-options") == "nosniff"
        if not path.startswith("/static"):
            assert admin.answer.getheader("cache-control") == "no-store"


def test_names_that_are_scripts_are_shown_as_text(people: dict[Role, Browserless]) -> None:
    admin = people[Role.ADMIN]
    paths = ["/", "/animals", "/labels", "/start", "/changes"]
    paths += [f"/cage?{urlencode({'device': f'cage-{number}'})}" for number in (1, 2, 3)]
    paths += [f"/animal?{urlencode({'name': name})}" for name, _ in NAMES]
    for path in paths:
        assert admin.get(path) == 200
        assert "<script>alert" not in admin.text
        tags = Tags(admin.text).found
        assert [tag for tag, given in tags if any(name.startswith("on") for name in given)] == []
        assert [given for tag, given in tags if tag == "script" and not given["src"].startswith("/static/")] == []
        assert [given for tag, given in tags if tag == "img" and not given["src"].startswith("/")] == []


def test_a_picture_is_sent_without_the_place_where_it_was_taken(
    page: PageProcess, people: dict[Role, Browserless]
) -> None:
    guest = people[Role.GUEST]
    guest.get("/")
    address = re.findall(r'src="(/picture[^"]+)"', guest.text)[0].replace("&amp;", "&")
    (stored,) = sorted((page.data / "thumbnails/cage-4").rglob("*-1.jpg"))[:1]
    with Image.open(stored) as original:
        assert dict(original.getexif().get_ifd(0x8825))
    for size in (address, address.replace("&size=96", "")):
        assert guest.get(size) == 200
        with Image.open(io.BytesIO(guest.content)) as sent:
            assert not sent.getexif()
            assert max(sent.size) == (96 if "size" in size else 320)
        assert "immutable" in guest.answer.getheader("cache-control", "")


@pytest.mark.parametrize("seq", ["1 OR 1=1", "-1", "9" * 40, "../1", ""])
def test_a_picture_that_is_none_is_not_there(seq: str, people: dict[Role, Browserless]) -> None:
    guest = people[Role.GUEST]
    query = urlencode({"device": "cage-4", "epoch": f"{4:032x}", "seq": seq, "v": "0123456789ab"})
    assert guest.get(f"/picture?{query}") == 404


def test_a_row_that_leads_out_of_the_folder_of_pictures_shows_nothing(tmp_path: Path) -> None:
    from station.page.pictures import read_picture
    from station.page.read import Picture

    (tmp_path / "thumbnails").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg")
    for path in ("secret.jpg", "thumbnails/../secret.jpg", str(tmp_path / "secret.jpg")):
        assert read_picture(tmp_path, Picture("d", "e", 1, path, path), 0) is None


def test_a_body_that_is_too_long_is_refused_unread(people: dict[Role, Browserless]) -> None:
    admin = people[Role.ADMIN]
    admin.get("/animals/enrol")
    assert admin.post("/animals/check", admin.hidden() | {"table": "x" * 5_000_000}) == 413


def test_wrong_passwords_are_answered_slower_and_slower_and_then_not_at_all(page: PageProcess) -> None:
    nobody = Browserless(page.port)
    answers = [nobody.sign_in("nobody at all", "wrong password") for _ in range(11)]
    assert answers[:10] == [401] * 10
    assert answers[10] == 429
    assert int(nobody.answer.getheader("retry-after", "0")) > 0


def test_no_secret_stands_in_the_database_in_clear(page: PageProcess, people: dict[Role, Browserless]) -> None:
    with closing(sqlite3.connect(page.data / "page.db")) as connection:
        dump = "\n".join(connection.iterdump())
    assert PASSWORD not in dump
    assert "$argon2id$" in dump
    assert people[Role.ADMIN].cookie.partition("=")[2] not in dump
    assert (page.data / "page.db").stat().st_mode & 0o077 == 0


def test_an_invitation_works_once_and_gives_no_more_than_its_maker_may(page: PageProcess) -> None:
    lead = visitor(page, Role.LEAD)
    lead.get("/people")
    assert lead.post("/people/invite", lead.hidden() | {"role": "admin"}) == 400
    lead.get("/people")
    assert lead.post("/people/invite", lead.hidden() | {"role": "technician"}) == 200
    token = re.findall(r"/join\?token=([\w-]+)", lead.text)[0]
    new = Browserless(page.port)
    assert new.get(f"/join?token={token}") == 200
    values = {"token": token, "name": "Ada", "password": PASSWORD, "again": "another password"}
    assert new.post("/join", values) == 422
    assert new.post("/join", values | {"password": "short", "again": "short"}) == 422
    assert new.post("/join", values | {"again": PASSWORD, "name": "ADMIN"}) == 422  # taken, in whatever letters
    assert new.post("/join", values | {"again": PASSWORD}) == 303
    assert new.get("/animals") == 200
    assert new.get("/people") == 403
    assert Browserless(page.port).post("/join", values | {"again": PASSWORD, "name": "Eve"}) == 404


def test_a_closed_account_is_out_at_once_and_an_admin_must_be_left(page: PageProcess) -> None:
    admin, lead = visitor(page, Role.ADMIN), visitor(page, Role.GUEST)
    assert lead.get("/") == 200
    admin.get("/people")
    number = re.findall(r'name="id" value="(\d+)">\s*<select name="role" aria-label="Role of guest"', admin.text)[0]
    assert admin.send("/people", "/people/change", {"id": number, "role": "guest", "closed": "yes"}) == 303
    assert lead.get("/") == 303
    assert lead.sign_in("guest") == 401
    assert admin.send("/people", "/people/change", {"id": number, "role": "guest"}) == 303
    admin.get("/people")
    own = re.findall(r'name="id" value="(\d+)">\s*<select name="role" aria-label="Role of admin"', admin.text)[0]
    assert admin.send("/people", "/people/change", {"id": own, "role": "lead"}) == 400
    assert "an admin must be left" in admin.text


def test_the_page_has_no_way_to_change_the_log(page: PageProcess) -> None:
    with log(page.data) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM records")
    assert GIVEN[-1] is Role.ADMIN
