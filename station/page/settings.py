"""The page's settings: one YAML file, or the flags of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge.contract.base import Struct
from edge.contract.service.credential import secret_path
from edge.contract.service.settings.convert import convert
from edge.contract.service.settings.flags import FILE_OR_FLAGS, read_with_flags
from edge.errors import OperatorError
from station.ingest.settings import Port

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class PageTls(Struct, frozen=True, kw_only=True):
    """The page's own certificate and key, PEM; `credential:NAME` means one that systemd hands to the unit."""

    cert_file: str
    key_file: str


class PageSettings(Struct, frozen=True, kw_only=True):
    """All of it. data: the station's folder; host, port: where the page listens.

    public_url: the address that people type, where that is another one: behind a proxy, or by a name.
    token: print an address that signs whoever opens it in, for one person at this machine.
    not_seen_hours: a cage in which no animal was found for so long is an alarm.
    """

    data: str
    host: str = "127.0.0.1"
    port: Port = 8642
    public_url: str | None = None
    tls: PageTls | None = None
    token: bool = False
    not_seen_hours: float = 12.0

    @property
    def url(self) -> str:
        """The address that people type, without a slash at its end."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names by which a browser may ask for the page; another one is a page of somebody else's making."""
        return (*LOOPBACK, urlsplit(self.url).hostname or self.host)

    @property
    def secure(self) -> bool:
        """Whether people reach it by HTTPS, so that cookies are never sent without."""
        return self.url.startswith("https://")


def load_page_settings(path: Path | None, flags: dict[str, Any]) -> PageSettings:
    """Return the file's settings with the flags laid over them; a flag that is None says nothing.

    Raises:
        OperatorError: the file cannot be read, or a setting is unknown, missing, of the wrong type or out of range.
    """
    document = read_with_flags(path, flags)
    settings = convert(document, PageSettings, FILE_OR_FLAGS)
    _check(settings, document.source)
    return settings


def _check(settings: PageSettings, where: str) -> None:
    if settings.public_url is not None:
        parts = urlsplit(settings.public_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise OperatorError(
                f"{where}: public_url: expected an address such as https://mice.example.org without a path, got "
                f"{settings.public_url!r}"
            )
    elif settings.host not in LOOPBACK:
        raise OperatorError(
            f"{where}: host {settings.host!r} is reached from other machines: give public_url too, the address that "
            "people type, and HTTPS by `tls` or a proxy"
        )
    if not 1 <= settings.not_seen_hours <= 240:
        raise OperatorError(f"{where}: not_seen_hours: expected 1 to 240 hours, got {settings.not_seen_hours:g}")
    if settings.token and (settings.host not in LOOPBACK or settings.public_url is not None):
        raise OperatorError(f"{where}: token: only for a page that this machine alone reaches, without public_url")
    for key, place in (
        (("cert_file", settings.tls.cert_file), ("key_file", settings.tls.key_file)) if settings.tls else ()
    ):
        file = secret_path(place, f"tls.{key}")
        if not file.is_file():
            raise OperatorError(f"{where}: tls.{key}: {file}: expected a PEM file, found none")
