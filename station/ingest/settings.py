"""The station's settings: one YAML file, or the flags of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edge.contract.address import wrong_host
from edge.contract.base import Struct
from edge.contract.service.settings.convert import convert
from edge.contract.service.settings.document import Document
from edge.contract.service.settings.flags import FILE_OR_FLAGS, read_with_flags
from edge.contract.topics import check_name
from edge.errors import ConfigError, MessageError, OperatorError
from station.store.postgres.address import Address, Durability, check_url
from station.store.quota import Limits
from station.store.retention import Rule

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Tls(Struct, frozen=True, kw_only=True):
    """Certificates as PEM files. Without ca_file the system's authorities are trusted."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None


class Settings(Struct, frozen=True, kw_only=True):
    """All of it. name: what the devices call `mqtt.station`; data: the folder of database and thumbnails.

    password_file: holds the password in its first line; the password itself is never a setting.
    max_payload_kb: a longer message is noted, not stored, and stays on its device.
    quota: how much of what is not its log one device may have kept.
    database: postgresql://USER@HOST/DATABASE where the log is to lie on PostgreSQL; the pictures stay in `data`.
    database_password_file: as password_file, of the database. database_durability: `relaxed` takes a server that may
    lose its last commits in a power cut.
    retention: which pictures and raw bodies are removed some days after they came; none where it is empty.
    """

    name: str
    data: str
    host: str = "localhost"
    port: Port = 1883
    mqtt_version: Literal["5", "3.1.1"] = "5"
    username: str | None = None
    password_file: str | None = None
    tls: Tls | None = None
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 20
    max_payload_kb: Annotated[int, msgspec.Meta(ge=8, le=262144)] = 1024
    quota: Limits = Limits()
    database: str | None = None
    database_password_file: str | None = None
    database_durability: Durability = "checked"
    retention: tuple[Rule, ...] = ()

    @property
    def address(self) -> Address | None:
        """Where the log lies on PostgreSQL, None where it is the folder's own."""
        if self.database is None:
            return None
        return Address(
            database=self.database,
            database_password_file=self.database_password_file,
            database_durability=self.database_durability,
        )


def load_settings(path: Path | None, flags: dict[str, Any]) -> Settings:
    """Return the file's settings with the flags laid over them; a flag that is None says nothing.

    Raises:
        OperatorError: the file cannot be read, or a setting is unknown, missing, of the wrong type or out of range.
    """
    document = read_with_flags(path, {key: value for key, value in flags.items() if not key.startswith("tls_")})
    tls = {key.removeprefix("tls_"): value for key, value in flags.items() if key.startswith("tls_") and value}
    if tls:
        document.values["tls"] = {**(document.values.get("tls") or {}), **tls}
    with_version_as_text(document)
    settings = convert(document, Settings, FILE_OR_FLAGS)
    try:
        check_name(settings.name)
    except MessageError as error:
        raise OperatorError(f"{document.source}: name: {error}") from error
    expected = wrong_host(settings.host)
    if expected is not None:
        raise document.place(ConfigError("host", expected, repr(settings.host)))
    if settings.password_file is not None and settings.username is None:
        raise document.place(ConfigError("username", "the user whose password is in password_file", "nothing"))
    _check_database(settings, document)
    return settings


def with_version_as_text(document: Document) -> None:
    """Make `mqtt_version` text: YAML reads 5 as a number and 3.1.1 as text, and both are meant."""
    if type(document.values.get("mqtt_version")) is int:
        document.values["mqtt_version"] = str(document.values["mqtt_version"])


def _check_database(settings: Settings, document: Document) -> None:
    if settings.database is None:
        if settings.database_password_file is not None or settings.database_durability != "checked":
            expected = "the database that database_password_file or database_durability is for"
            raise document.place(ConfigError("database", expected, "nothing"))
        return
    if settings.retention:
        expected = "no rules: retention is not made for a log on PostgreSQL yet"
        raise document.place(ConfigError("retention", expected, f"{len(settings.retention)} rules"))
    try:
        check_url(settings.database)
    except ValueError as error:
        raise OperatorError(f"{document.source}: database: {error}") from error
