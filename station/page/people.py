"""Signing in and out, invitations, who may do what, and the list of changes."""

from __future__ import annotations

import secrets
from hmac import compare_digest
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from edge.errors import OperatorError
from station.page.accounts import (
    SESSION_S,
    Refused,
    User,
    add_user,
    begin_session,
    count_users,
    end_session,
    find_by_password,
    invite,
    invited_as,
    join,
    load_users,
    set_password,
    set_role,
)
from station.page.changes import keep_change, load_changes
from station.page.database import page_database
from station.page.roles import Role, may_give, role_of
from station.page.texts import text
from station.page.web import Visit, too_often
from station.transaction import transaction

LOCAL_USER = "this machine"


def show_login(visit: Visit) -> Response:
    """Return the form for name and password."""
    if visit.session is not None:
        return RedirectResponse("/", 303)
    with page_database(visit.data) as connection:
        first = count_users(connection) == 0
    return visit.answer("login.html", next=safe_next(visit.value("next")), wrong="", first=first)


def login(visit: Visit) -> Response:
    """Sign somebody in."""
    name, goal = visit.value("name"), safe_next(visit.value("next"))
    host = visit.request.client.host if visit.request.client else ""
    wait_s = max(visit.page.sign_ins.wait_s(f"{host} {name.casefold()}"), visit.page.sign_ins_of_all.wait_s(host))
    if wait_s:
        return too_often(visit, wait_s)
    password = visit.form.get("password")
    with page_database(visit.data) as connection:
        user = find_by_password(connection, name, password if isinstance(password, str) else "")
        if user is None:
            return visit.answer("login.html", 401, next=goal, wrong=text("login.wrong"), name=name, first=False)
        visit.page.sign_ins.forget(f"{host} {name.casefold()}")
        return signed_in(visit, user, goal)


def logout(visit: Visit) -> Response:
    """Sign a browser out."""
    with page_database(visit.data) as connection:
        end_session(connection, visit.session.token if visit.session else "")
    found = RedirectResponse("/login", 303)
    found.delete_cookie(visit.page.cookie, path="/", secure=visit.page.settings.secure)
    return found


def show_join(visit: Visit) -> Response:
    """Return the form behind an invitation's link."""
    token = visit.value("token")
    with page_database(visit.data) as connection:
        role = _offered(visit, token)
        first = count_users(connection) == 0
    if role is None:
        return visit.answer("problem.html", 404, title=text("join.over"), said=text("join.over_why"))
    return visit.answer("join.html", token=token, offered=role, wrong="", first=first, name="")


def take_join(visit: Visit) -> Response:
    """Have somebody join by a link."""
    token, name = visit.value("token"), visit.value("name")
    host = visit.request.client.host if visit.request.client else ""
    wait_s = visit.page.sign_ins_of_all.wait_s(host)
    if wait_s:
        return too_often(visit, wait_s)
    role = _offered(visit, token)
    if role is None:
        return visit.answer("problem.html", 404, title=text("join.over"), said=text("join.over_why"))
    password, again = (str(visit.form.get(key) or "") for key in ("password", "again"))
    with page_database(visit.data) as connection:
        first = count_users(connection) == 0
        try:
            if password != again:
                raise Refused(text("join.differ"))
            if first:
                with transaction(connection):
                    if count_users(connection):
                        raise Refused(text("join.over_why"))
                    user = add_user(connection, name, password, Role.ADMIN)
            else:
                user = join(connection, token, name, password)
            keep_change(connection, user.name, "joined", user.name, {}, {"role": user.role.word})
        except Refused as error:
            return visit.answer("join.html", 422, token=token, offered=role, wrong=str(error), first=first, name=name)
        return signed_in(visit, user, "/start" if first else "/")


def enter(visit: Visit) -> Response:
    """Sign in who opens the address that was printed at this machine."""
    expected, given = visit.page.enter_token, visit.value("token")
    if not expected or not compare_digest(expected.encode(), given.encode()):
        return visit.answer("problem.html", 404, title=text("join.over"), said=text("join.over_why"))
    with page_database(visit.data) as connection:
        user = next((one for one in load_users(connection) if one.name == LOCAL_USER), None)
        if user is None:
            user = add_user(connection, LOCAL_USER, secrets.token_urlsafe(24), Role.ADMIN)
        return signed_in(visit, user, "/")


def show_people(visit: Visit) -> Response:
    """Return the people, and the form for an invitation."""
    with page_database(visit.data) as connection:
        people = load_users(connection)
    return visit.answer("people.html", people=people, may_give=may_give(visit.role), link="")


def make_invitation(visit: Visit) -> Response:
    """Return a link by which one person can join; it is shown once."""
    role = _role(visit)
    if role not in may_give(visit.role):
        raise OperatorError(text("people.not_yours", role=text(f"role.{role.word}")))
    with page_database(visit.data) as connection:
        token = invite(connection, role, visit.name)
        keep_change(connection, visit.name, "invited", "", {}, {"role": role.word})
        people = load_users(connection)
    link = f"{visit.page.settings.url}/join?token={token}"
    return visit.answer("people.html", people=people, may_give=may_give(visit.role), link=link, invited=role)


def change_person(visit: Visit) -> Response:
    """Give somebody another role, or close the account."""
    role = _role(visit)
    closed = visit.value("closed") == "yes"
    with page_database(visit.data) as connection:
        user = next((one for one in load_users(connection) if str(one.id) == visit.value("id")), None)
        if user is None:
            raise OperatorError(text("people.unknown"))
        set_role(connection, user, role, disabled=closed)
        before = {"role": user.role.word, "closed": user.disabled}
        keep_change(connection, visit.name, "changed person", user.name, before, {"role": role.word, "closed": closed})
    return visit.go("/people", text("people.changed", name=user.name))


def show_account(visit: Visit) -> Response:
    """Return the form for another password."""
    return visit.answer("account.html", wrong="")


def change_password(visit: Visit) -> Response:
    """Give the person another password; every other browser is signed out."""
    assert visit.session is not None
    old, new, again = (str(visit.form.get(key) or "") for key in ("old", "password", "again"))
    user = visit.session.user
    wait_s = visit.page.sign_ins.wait_s(f"own {user.id}")
    if wait_s:
        return too_often(visit, wait_s)
    with page_database(visit.data) as connection:
        try:
            if find_by_password(connection, user.name, old) is None:
                raise Refused(text("account.old_wrong"))
            if new != again:
                raise Refused(text("join.differ"))
            set_password(connection, user, new)
            keep_change(connection, visit.name, "changed password", user.name, {}, {})
        except Refused as error:
            return visit.answer("account.html", 422, wrong=str(error))
        return signed_in(visit, user, "/")


def show_changes(visit: Visit) -> Response:
    """Return the newest changes, of one animal, cage or person where it is named."""
    about = visit.value("about") or None
    with page_database(visit.data) as connection:
        found = load_changes(connection, about)
    return visit.answer("changes.html", changes=found, about=about)


def signed_in(visit: Visit, user: User, goal: str) -> Response:
    """Return the way on with a new session's cookie."""
    with page_database(visit.data) as connection:
        session = begin_session(connection, user)
    found = RedirectResponse(goal, 303)
    found.set_cookie(
        visit.page.cookie,
        session.token,
        max_age=int(SESSION_S),
        path="/",
        secure=visit.page.settings.secure,
        httponly=True,
        samesite="lax",
    )
    return found


def safe_next(goal: str) -> str:
    """Return where to go after signing in: a path of this page, never another site's address."""
    parts = urlsplit(goal)
    sound = goal.startswith("/") and not goal.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return goal if sound and goal.isprintable() and "\\" not in goal else "/"


def _offered(visit: Visit, token: str) -> Role | None:
    """Return the role that a link gives: the first one of a new page makes an admin."""
    with page_database(visit.data) as connection:
        if count_users(connection) == 0:
            expected = visit.page.setup_token
            return Role.ADMIN if expected and compare_digest(expected.encode(), token.encode()) else None
        return invited_as(connection, token)


def _role(visit: Visit) -> Role:
    try:
        return role_of(visit.value("role"))
    except ValueError as error:
        raise OperatorError(f"role: {error}") from error
