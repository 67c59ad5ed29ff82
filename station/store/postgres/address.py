"""Where a log on PostgreSQL lies: a URL without a password, and the file with the password."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from edge.contract.base import Struct
from edge.contract.service.credential import read_password
from edge.errors import OperatorError

SCHEMES = ("postgresql", "postgres")
Durability = Literal["checked", "relaxed"]
PASSWORD_KEY = "database_password_file"
_HERE = ("localhost", "127.0.0.1", "::1")
_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "application_name", "target_session_attrs")
_NOT_HERE = {
    "password": f"name a file with the password in its first line as {PASSWORD_KEY}, or use PGPASSFILE",
    "passfile": "set PGPASSFILE in the environment",
    "service": "write host, port and database into the URL",
    "options": "have the owner of the database set them for the role (ALTER ROLE ... SET ...)",
}


class Address(Struct, frozen=True, kw_only=True):
    """A database of a server, as the settings name it.

    database: postgresql://USER@HOST:PORT/DATABASE?sslmode=... database_password_file: a file with the password in its
    first line. database_durability: `relaxed` takes a server that may lose its last commits in a power cut.
    """

    database: str
    database_password_file: str | None = None
    database_durability: Durability = "checked"

    def __post_init__(self) -> None:
        """Refuse what could not be used, or would give a password away.

        Raises:
            ValueError: a sentence on what was expected.
        """
        check_url(self.database)

    @property
    def shown(self) -> str:
        """The URL as a person may read it; no password is ever in it."""
        return self.database

    def parameters(self) -> dict[str, Any]:
        """Return what libpq is given.

        Raises:
            OperatorError: the password file is missing or wrong; it is named.
            NetworkError: it cannot be read at the moment.
        """
        found: dict[str, Any] = {"conninfo": self.database}
        password = self._password()
        return found if password is None else found | {"password": password}

    def environment(self) -> dict[str, str]:
        """Return the variables of the environment that a program of PostgreSQL's finds its password by.

        Raises:
            OperatorError, NetworkError: as `parameters`.
        """
        password = self._password()
        return {} if password is None else {"PGPASSWORD": password}

    def _password(self) -> str | None:
        """Return the password; None where it is the unit's credential and this is a person, whom libpq knows."""
        place = self.database_password_file
        if place is not None and place.startswith("credential:") and "CREDENTIALS_DIRECTORY" not in os.environ:
            return None
        return read_password(place, PASSWORD_KEY)


def is_url(text: str) -> bool:
    """Return whether a text names a database rather than a folder."""
    return "://" in text


def check_url(url: str) -> None:
    """Refuse a URL that cannot be used.

    Raises:
        ValueError: a sentence on what was expected.
    """
    try:
        parts = urlsplit(url)
        hosts = _hosts(parts.netloc)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise ValueError(f"expected postgresql://USER@HOST/DATABASE, got a text that is no URL: {error}") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"expected postgresql://USER@HOST/DATABASE, got a URL that begins with {parts.scheme!r}")
    if ":" in parts.netloc.rpartition("@")[0]:
        raise ValueError(f"expected a URL without a password; {_NOT_HERE['password']}")
    if not unquote(parts.path.lstrip("/")):
        raise ValueError("expected postgresql://USER@HOST/DATABASE, got a URL without the database's name")
    if parts.fragment:
        raise ValueError(f"expected nothing behind '#', got {parts.fragment!r}")
    names = [name for name, _ in options]
    for name in names:
        if name in _NOT_HERE:
            raise ValueError(f"expected a URL without {name}=; {_NOT_HERE[name]}")
        if name not in _OPTIONS:
            raise ValueError(f"expected options among {', '.join(_OPTIONS)}, got {name!r}")
        if names.count(name) > 1:
            raise ValueError(f"expected each option once, got {name} {names.count(name)} times")
    given = dict(options)
    _check_encryption([*hosts, *given.get("host", "").split(",")], given.get("sslmode"))


def _hosts(netloc: str) -> list[str]:
    found = []
    for one in netloc.rpartition("@")[2].split(","):
        host = one[1 : one.index("]")] if one.startswith("[") else one.partition(":")[0]
        found.append(unquote(host))
    return found


def _check_encryption(hosts: list[str], mode: str | None) -> None:
    """Refuse a server on a network whose certificate and name are not checked: a password would go to anyone."""
    beyond = [host for host in hosts if host and host not in _HERE and not host.startswith("/")]
    if not any(hosts) and os.environ.get("PGHOST", "").lstrip("/") == os.environ.get("PGHOST", "") != "":
        beyond.append(os.environ["PGHOST"])
    if beyond and mode != "verify-full":
        raise ValueError(
            f"expected sslmode=verify-full for a server beyond this machine ({beyond[0]}), got "
            f"{'no sslmode' if mode is None else f'sslmode={mode}'}; add ?sslmode=verify-full&sslrootcert=FILE"
        )


def read_address(values: Any, where: str | Path) -> Address:
    """Return the address of settings as they stand in a file.

    Raises:
        OperatorError: they are none; `where` they stand is named.
    """
    try:
        return msgspec.convert(values, Address, strict=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise OperatorError(f"{where}: database: {error}") from error
