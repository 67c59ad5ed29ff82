"""Opening a log on PostgreSQL: the session, the form of its tables, and whether the server keeps what it commits."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from typing import Any

import psycopg

from edge.errors import OperatorError, StorageError
from station.store.postgres.address import Address
from station.store.postgres.connection import Connection
from station.store.postgres.durability import check_durability
from station.store.postgres.locks import LOCK, WRITERS
from station.store.postgres.roles import grant_roles
from station.store.postgres.tables import statements
from station.store.postgres.upgrade import bring_up_to_date, read_version
from station.store.tables import VERSION

LOG = logging.getLogger("station")
OLDEST_SERVER = 150000
CONNECT_S, LOCKED_S, STATEMENT_S, SILENT_S = 10, 10, 60, 30
_A_PERSONS = ("28", "3D", "3F", "42")
"""Classes of errors (SQLSTATE): no such user or wrong password, no such database, no such schema, no right."""


def connect_to(address: Address) -> psycopg.Connection[Any]:
    """Return a new session in autocommit mode, with the limits that keep a silent server from holding up the log.

    Raises:
        OperatorError, NetworkError: the password file is missing or wrong, or cannot be read at the moment.
        psycopg.Error: there is no connection.
    """
    return psycopg.connect(
        **address.parameters(),
        autocommit=True,
        connect_timeout=CONNECT_S,
        keepalives_idle=SILENT_S,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=SILENT_S * 1000,
        application_name="cageclock-station",
        client_encoding="utf8",
    )


def open_log(address: Address, *, reading: bool = False) -> Connection:
    """Return a connection to a log, whose tables are made where the database holds none and the role may make them.

    reading: rows have names, and what no reader can use is passed over.

    Raises:
        OperatorError: a person must act: address, role, rights, version or durability.
        StorageError: the server cannot be used just now.
    """
    path = "readable, main" if reading else "main"

    def session() -> psycopg.Connection[Any]:
        found = connect_to(address)
        found.execute(f"SET search_path = {path}")
        found.execute(f"SET lock_timeout = '{LOCKED_S}s'")
        if not reading:
            found.execute(f"SET statement_timeout = '{STATEMENT_S}s'")
        return found

    try:
        with connect_to(address) as first:
            _check_server(first, address)
            if not reading:
                for warning in check_durability(first, address):
                    LOG.warning("%s", warning)
            _check_form(first, address, reading=reading)
            if not reading:
                _check_rights(first, address)
        return Connection(session, reading=reading)
    except (psycopg.Error, sqlite3.Error) as error:
        raise why_not_open(address, error) from error


def why_not_open(address: Address, error: Exception) -> OperatorError | StorageError:
    """Return the error that says who must act: OperatorError for a person, StorageError for what may pass."""
    text = " ".join(str(error).split())
    state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None) or ""
    # Of a refusal at the very beginning libpq gives no state, only the server's words.
    refused = any(
        sign in text for sign in ("authentication failed", "does not exist", "no password supplied", "pg_hba")
    )
    if state[:2] in _A_PERSONS or refused or "certificate" in text or "root.crt" in text:
        return OperatorError(f"{address.shown}: the database cannot be used: {text}")
    return StorageError(f"{address.shown}: the database cannot be used now: {text}")


def _check_server(session: psycopg.Connection[Any], address: Address) -> None:
    if session.info.server_version < OLDEST_SERVER:
        found = session.info.parameter_status("server_version")
        raise OperatorError(f"{address.shown}: expected PostgreSQL 15 or later, got {found}")
    encoding = session.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise OperatorError(
            f"{address.shown}: expected a database in UTF8, got {encoding}; createdb -E UTF8 -T template0"
        )


def _check_rights(session: psycopg.Connection[Any], address: Address) -> None:
    row = session.execute("SELECT has_table_privilege('main.records', 'INSERT'), current_user").fetchone()
    if row is not None and not row[0]:
        raise OperatorError(
            f"{address.shown}: expected a role that may add records, {row[1]} may not: "
            f"GRANT cageclock_logger TO {row[1]}"
        )


def _check_form(session: psycopg.Connection[Any], address: Address, *, reading: bool) -> None:
    """Make the tables where the database is empty; refuse those of another version."""
    found = read_version(session)
    if found is None and not reading:
        make_tables(session)
        found = read_version(session)
    if found is None:
        raise OperatorError(f"{address.shown}: expected a station's log, found none; `cageclock-station run` makes it")
    if found != VERSION:
        raise OperatorError(
            f"{address.shown}: expected version {VERSION}, got {found}; use the program that made it, or have the "
            "owner run `cageclock-station database init` with this one"
        )


def make_tables(session: psycopg.Connection[Any]) -> bool:
    """Make the tables of an empty database in one transaction; return whether they were not there.

    Raises:
        psycopg.Error: the role may not make them.
    """
    with session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK, WRITERS))
        if read_version(session) is not None:  # another program was quicker
            return False
        for statement in statements(secrets.token_hex(16)):
            session.execute(statement)
    return True


def prepare(address: Address, *, roles: bool) -> bool:
    """Make the tables or bring them up to date, grant the roles if asked to; return whether there were no tables.

    Raises:
        OperatorError: a person must act: address, rights or version.
        StorageError: the server cannot be used just now.
    """
    try:
        with connect_to(address) as session:
            _check_server(session, address)
            made = make_tables(session)
            if not made:
                bring_up_to_date(session)
            if roles:
                grant_roles(session)
        return made
    except psycopg.Error as error:
        raise why_not_open(address, error) from error
