"""People: their passwords, invitations and sessions. Times are Unix seconds."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edge.errors import OperatorError
from station.page.roles import Role, role_of
from station.printable import has_control_characters
from station.transaction import transaction

SESSION_IDLE_S = 14 * 86400.0
SESSION_S = 90 * 86400.0
INVITATION_S = 7 * 86400.0
SEEN_EVERY_S = 3600.0
LEAST_LETTERS, MOST_LETTERS = 12, 200
MOST_NAME = 80

_HASHER = PasswordHasher()
_ONE_AT_A_TIME = threading.Semaphore(2)
"""A hash takes 64 MB of memory: a flood of sign-ins must not take the machine's."""
_NOBODYS_HASH = _HASHER.hash(secrets.token_hex(16))
"""Checked where the name is unknown, so that the time taken says nothing about names."""


@dataclass(frozen=True, slots=True)
class User:
    """One person."""

    id: int
    name: str
    role: Role
    disabled: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. token: what its cookie holds."""

    user: User
    token: str
    csrf: str


class Refused(OperatorError):
    """A name, password or link that is not taken; the text is for the person."""


def add_user(connection: sqlite3.Connection, name: str, password: str, role: Role) -> User:
    """Return the new person.

    Raises:
        Refused: the name or the password will not do.
    """
    name = name.strip()
    if not name or len(name) > MOST_NAME or has_control_characters(name):
        raise Refused(f"name: expected 1 to {MOST_NAME} letters, got {len(name)}")
    hashed = hash_password(password)
    try:
        cursor = connection.execute(
            "INSERT INTO users (name, password, role, created_at) VALUES (?, ?, ?, ?)",
            (name, hashed, role.word, time.time()),
        )
    except sqlite3.IntegrityError as error:
        raise Refused(f"name: {name!r} is taken; choose another one") from error
    return User(int(cursor.lastrowid or 0), name, role, False)


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password.

    Raises:
        Refused: it is too short or too long.
    """
    if not LEAST_LETTERS <= len(password) <= MOST_LETTERS:
        raise Refused(f"password: expected {LEAST_LETTERS} to {MOST_LETTERS} letters, got {len(password)}")
    with _ONE_AT_A_TIME:
        return _HASHER.hash(password)


def find_by_password(connection: sqlite3.Connection, name: str, password: str) -> User | None:
    """Return who that is, None where name or password is wrong or the account is closed."""
    row = connection.execute("SELECT * FROM users WHERE name = ?", (name.strip(),)).fetchone()
    stored = row["password"] if row is not None and not row["disabled"] else _NOBODYS_HASH
    with _ONE_AT_A_TIME:
        try:
            _HASHER.verify(stored, password[: MOST_LETTERS + 1])
        except (VerificationError, InvalidHashError):
            return None
    return _user(row) if row is not None and not row["disabled"] else None


def count_users(connection: sqlite3.Connection) -> int:
    """Return how many people there are."""
    return int(connection.execute("SELECT count(*) FROM users").fetchone()[0])


def load_users(connection: sqlite3.Connection) -> list[User]:
    """Return everybody, by name."""
    return [_user(row) for row in connection.execute("SELECT * FROM users ORDER BY name").fetchall()]


def set_role(connection: sqlite3.Connection, user: User, role: Role, *, disabled: bool) -> None:
    """Change a person's role, or close the account; its sessions end.

    Raises:
        Refused: nobody would be left who can administer the page.
    """
    with transaction(connection):
        connection.execute("UPDATE users SET role = ?, disabled = ? WHERE id = ?", (role.word, disabled, user.id))
        left = connection.execute("SELECT count(*) FROM users WHERE role = 'admin' AND disabled = 0").fetchone()[0]
        if not left:
            raise Refused("an admin must be left: make somebody else an admin first")
        connection.execute("DELETE FROM sessions WHERE user = ?", (user.id,))


def set_password(connection: sqlite3.Connection, user: User, password: str) -> None:
    """Give a person another password; all sessions of theirs end.

    Raises:
        Refused: the password will not do.
    """
    hashed = hash_password(password)
    with transaction(connection):
        connection.execute("UPDATE users SET password = ? WHERE id = ?", (hashed, user.id))
        connection.execute("DELETE FROM sessions WHERE user = ?", (user.id,))


def invite(connection: sqlite3.Connection, role: Role, made_by: str) -> str:
    """Return the token of a link by which one person can join once, within a week."""
    token, now = secrets.token_urlsafe(24), time.time()
    with transaction(connection):
        connection.execute("DELETE FROM invitations WHERE expires_at < ?", (now,))
        row = (digest_of(token), role.word, made_by, now, now + INVITATION_S)
        connection.execute("INSERT INTO invitations VALUES (?, ?, ?, ?, ?)", row)
    return token


def invited_as(connection: sqlite3.Connection, token: str) -> Role | None:
    """Return the role that an unused link gives, None where it is used, over or none at all."""
    row = connection.execute(
        "SELECT role FROM invitations WHERE token = ? AND expires_at > ?", (digest_of(token), time.time())
    ).fetchone()
    return role_of(row["role"]) if row is not None else None


def join(connection: sqlite3.Connection, token: str, name: str, password: str) -> User:
    """Return the person who joined by a link, which is used up.

    Raises:
        Refused: the link is used or over, or name or password will not do.
    """
    hash_password(password)  # what takes long is tried before the lock
    with transaction(connection):
        role = invited_as(connection, token)
        if role is None:
            raise Refused("this link was used already, or is older than a week; ask for a new one")
        connection.execute("DELETE FROM invitations WHERE token = ?", (digest_of(token),))
        return add_user(connection, name, password, role)


def begin_session(connection: sqlite3.Connection, user: User) -> Session:
    """Return a new session of a person."""
    session, now = Session(user, secrets.token_urlsafe(32), secrets.token_hex(32)), time.time()
    with transaction(connection):
        connection.execute(
            "DELETE FROM sessions WHERE seen_at < ? OR begun_at < ?", (now - SESSION_IDLE_S, now - SESSION_S)
        )
        row = (digest_of(session.token), user.id, session.csrf, now, now, "")
        connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)
    return session


def find_session(connection: sqlite3.Connection, token: str) -> Session | None:
    """Return the session of a cookie, None where it is over or its person may no longer come in."""
    now = time.time()
    row = connection.execute(
        "SELECT s.csrf, s.seen_at, u.* FROM sessions s JOIN users u ON u.id = s.user "
        "WHERE s.token = ? AND s.seen_at > ? AND s.begun_at > ? AND u.disabled = 0",
        (digest_of(token), now - SESSION_IDLE_S, now - SESSION_S),
    ).fetchone()
    if row is None:
        return None
    if now - row["seen_at"] > SEEN_EVERY_S:
        connection.execute("UPDATE sessions SET seen_at = ? WHERE token = ?", (now, digest_of(token)))
    return Session(_user(row), token, row["csrf"])


def end_session(connection: sqlite3.Connection, token: str) -> None:
    """Sign a browser out."""
    connection.execute("DELETE FROM sessions WHERE token = ?", (digest_of(token),))


def digest_of(token: str) -> str:
    """Return what is stored in place of a secret."""
    return hashlib.sha256(token.encode()).hexdigest()


def mask(secret: str) -> str:
    """Return a secret of hex digits so that each page spells it differently: compression then tells nothing of it."""
    key = secrets.token_bytes(len(secret) // 2)
    return key.hex() + bytes(a ^ b for a, b in zip(bytes.fromhex(secret), key, strict=True)).hex()


def is_masked(text: str, secret: str) -> bool:
    """Return whether a text is what `mask` made of the secret."""
    if len(text) != 2 * len(secret):
        return False
    try:
        both = bytes.fromhex(text)
    except ValueError:
        return False
    half = len(both) // 2
    found = bytes(a ^ b for a, b in zip(both[:half], both[half:], strict=True)).hex()
    return hmac.compare_digest(found, secret)


def _user(row: sqlite3.Row) -> User:
    try:
        role = role_of(row["role"])
    except ValueError:
        role = Role.NOBODY  # edited by hand: no rights
    return User(int(row["id"]), str(row["name"]), role, bool(row["disabled"]))
