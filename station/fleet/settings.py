"""The settings of `cageclock-station fleet`: one YAML file, or the flags of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec

from edge.contract.address import wrong_host
from edge.contract.base import Struct
from edge.contract.service.settings.convert import convert
from edge.contract.service.settings.flags import FILE_OR_FLAGS, read_with_flags
from edge.errors import ConfigError
from station.ingest.settings import Port, Tls

Seconds = Annotated[float, msgspec.Meta(ge=0.1, le=86400.0)]


class Files(Struct, frozen=True, kw_only=True):
    """Where the process serves bundle files by HTTP. Behind a proxy with HTTPS: 127.0.0.1."""

    host: str = "0.0.0.0"
    port: Port = 8643


class FleetSettings(Struct, frozen=True, kw_only=True):
    """All of it. data: the station's folder; host, port, ...: the broker, as in station.yaml.

    files: serve bundle files; without it another server does. urls: addresses of folders under which the devices find
    the files, `http://mice.example.org:8643/bundles`; the file's name is the bundle's digest and `.bundle`.
    online_key: the key (PEM) whose only power is to say that nothing newer exists, said again every fresh_hours / 4.
    look_s: between two looks at the rollouts. lease_s: so long after its last sign another process takes over.
    """

    data: str
    host: str = "localhost"
    port: Port = 1883
    mqtt_version: Literal["5", "3.1.1"] = "5"
    username: str | None = None
    password_file: str | None = None
    tls: Tls | None = None
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 20
    files: Files | None = None
    urls: Annotated[tuple[str, ...], msgspec.Meta(max_length=8)] = ()
    online_key: str | None = None
    fresh_hours: Annotated[float, msgspec.Meta(ge=0.01, le=720.0)] = 24.0
    look_s: Seconds = 5.0
    lease_s: Annotated[float, msgspec.Meta(ge=1.0, le=600.0)] = 30.0


def load_fleet_settings(path: Path | None, flags: dict[str, Any]) -> FleetSettings:
    """Return the file's settings with the flags laid over them; a flag that is None says nothing.

    Raises:
        OperatorError: the file cannot be read, or a setting is unknown, missing, of the wrong type or out of range.
    """
    document = read_with_flags(path, flags)
    # YAML reads 5 as a number and 3.1.1 as text; both are meant.
    if type(document.values.get("mqtt_version")) is int:
        document.values["mqtt_version"] = str(document.values["mqtt_version"])
    settings = convert(document, FleetSettings, FILE_OR_FLAGS)
    expected = wrong_host(settings.host)
    if expected is not None:
        raise document.place(ConfigError("host", expected, repr(settings.host)))
    if settings.password_file is not None and settings.username is None:
        raise document.place(ConfigError("username", "the user whose password is in password_file", "nothing"))
    for url in settings.urls:
        if not _is_folder(url):
            expected = "addresses such as http://mice.example.org:8643/bundles"
            raise document.place(ConfigError("urls", expected, repr(url)))
    if settings.files is not None and not settings.urls:
        raise document.place(ConfigError("urls", "the address by which the devices reach `files`", "nothing"))
    return settings


def _is_folder(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
    except ValueError:
        return False
