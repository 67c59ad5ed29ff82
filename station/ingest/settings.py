"""The station's settings: one YAML file, or the flags of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from edge.contract.address import wrong_host
from edge.contract.base import Struct
from edge.contract.service.yaml_keys import refuse_twice
from edge.contract.topics import check_name
from edge.errors import MessageError, OperatorError
from station.store.postgres.address import Address, Durability, check_url
from station.store.quota import Limits

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


class _Once(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, of which YAML would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping's values."""
        refuse_twice(node)
        return super().construct_mapping(node, deep)


def load_settings(path: Path | None, flags: dict[str, Any]) -> Settings:
    """Return the file's settings with the flags laid over them; a flag that is None says nothing.

    Raises:
        OperatorError: the file cannot be read, or a setting is unknown, missing, of the wrong type or out of range.
    """
    values = read_file(path) if path is not None else {}
    tls = {key.removeprefix("tls_"): value for key, value in flags.items() if key.startswith("tls_") and value}
    values |= {key: value for key, value in flags.items() if value is not None and not key.startswith("tls_")}
    if tls:
        values["tls"] = {**(values.get("tls") or {}), **tls}
    where = str(path) if path is not None else "flags"
    try:
        settings = msgspec.convert(values, Settings, strict=True)
        check_name(settings.name)
    except msgspec.ValidationError as error:
        raise OperatorError(f"{where}: {error}; give it in the file or as a flag") from error
    except MessageError as error:
        raise OperatorError(f"{where}: name: {error}") from error
    expected = wrong_host(settings.host)
    if expected is not None:
        raise OperatorError(f"{where}: host: expected {expected}, got {settings.host!r}")
    if settings.password_file is not None and settings.username is None:
        raise OperatorError(f"{where}: password_file without username: name the user too")
    _check_database(settings, where)
    return settings


def _check_database(settings: Settings, where: str) -> None:
    if settings.database is None:
        if settings.database_password_file is not None or settings.database_durability != "checked":
            raise OperatorError(f"{where}: database_password_file or database_durability without database: name it too")
        return
    try:
        check_url(settings.database)
    except ValueError as error:
        raise OperatorError(f"{where}: database: {error}") from error


def read_file(path: Path) -> dict[str, Any]:
    """Return the settings of a YAML file as they stand there.

    Raises:
        OperatorError: the file cannot be read, or is no list of settings.
    """
    try:
        found = yaml.load(path.read_text(), Loader=_Once)
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise OperatorError(f"{path}: expected YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise OperatorError(f"{path}: expected settings as `name: value` lines, got {type(found).__name__}")
    # YAML 1.1 reads 5 as a number and 3.1.1 as text; both are meant.
    if isinstance(found.get("mqtt_version"), int):
        found["mqtt_version"] = str(found["mqtt_version"])
    return found
