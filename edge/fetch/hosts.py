"""Which addresses may be asked for a bundle: those of the settings, on the way of every redirect, too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from edge.config.tree import Config

_PLAIN = re.compile(r"https?://[!-~]+")
_PORTS = {"http": 80, "https": 443}
MAX_LENGTH = 2048


class NotAllowed(Exception):
    """An address that must not be asked, and why."""


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart. target: path and query as they are sent."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def text(self) -> str:
        """Host and port for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"


def allowed_hosts(config: Config) -> tuple[str, ...]:
    """Return from where a bundle may come by the settings."""
    return (config.mqtt.host,) if config.bundle.fetch_hosts is None else config.bundle.fetch_hosts


def parse_allowed(url: str, hosts: Sequence[str], base: str | None = None) -> tuple[Address, str]:
    """Return an address, and its whole URL; base: what a redirect's relative URL belongs to.

    Raises:
        NotAllowed: no plain http or https URL, with a user's name in it, or its host is not among `hosts`.
    """
    try:
        whole = url[: MAX_LENGTH + 1] if base is None else urljoin(base, url[: MAX_LENGTH + 1])
        if len(whole) > MAX_LENGTH or _PLAIN.fullmatch(whole) is None or "\\" in whole:
            raise NotAllowed(f"expected an http or https address, got {whole[:200]!r}")
        parts = urlsplit(whole)
        host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    except ValueError as error:
        raise NotAllowed(f"expected an http or https address, got {url[:200]!r}: {error}") from error
    if not host or "@" in parts.netloc:
        raise NotAllowed(f"expected an address without a user's name, got {whole[:200]!r}")
    names = {host, f"[{host}]"} if ":" in host else {host}
    listed = {entry.lower() for entry in hosts}
    if not listed & {*names, *(f"{name}:{port}" for name in names)}:
        known = ", ".join(hosts) or "none"
        raise NotAllowed(
            f"host {host}:{port} is not among those a bundle may come from ({known}); add it to bundle.fetch_hosts in "
            "the settings, or serve the bundle there"
        )
    target = parts.path or "/"
    return Address(parts.scheme == "https", host, port, f"{target}?{parts.query}" if parts.query else target), whole
