"""`cageclock-station serve`: the page until SIGTERM or SIGINT, as a process of its own."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn

from edge.contract.service.credential import secret_path
from edge.contract.service.systemd_notify import notify
from edge.errors import NetworkError, OperatorError
from station.page.accounts import count_users
from station.page.app import STATIC, make_app, make_page
from station.page.database import page_database
from station.page.settings import LOOPBACK, PageSettings
from station.page.watch import Watch

LOG = logging.getLogger("station.page")
STOP_S = 5
NEEDED = ("uplot.js", "uplot.css", "htmx.js")


def serve(settings: PageSettings) -> int:
    """Serve until a signal asks for the end and return 0.

    Raises:
        OperatorError: the folder cannot be used, or the page's own files are missing.
        NetworkError: the address is taken or not this machine's.
    """
    check_files()
    data = Path(settings.data)
    if not data.is_dir():
        raise OperatorError(f"{data}: expected the folder of a station, found none; `cageclock-station run` makes it")
    page = make_page(settings)
    with page_database(data) as connection:
        first = count_users(connection) == 0
    listening = _listen(settings)
    server = _Server(
        page.watch,
        uvicorn.Config(
            make_app(page),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_S,
            timeout_keep_alive=30,
            proxy_headers=settings.public_url is not None and settings.tls is None,
            forwarded_allow_ips="127.0.0.1",
            ssl_certfile=secret_path(settings.tls.cert_file, "tls.cert_file") if settings.tls else None,
            ssl_keyfile=secret_path(settings.tls.key_file, "tls.key_file") if settings.tls else None,
            h11_max_incomplete_event_size=64 * 1024,
        ),
    )
    LOG.info("the page is at %s", settings.url)
    if settings.token:
        LOG.info("open %s/enter?token=%s", settings.url, page.enter_token)
    elif first:
        LOG.info(
            "nobody has an account yet; the first one is the admin's: %s/join?token=%s", settings.url, page.setup_token
        )
    try:
        server.run(sockets=[listening])
    finally:
        notify("STOPPING=1")
        listening.close()
    return 0


class _Server(uvicorn.Server):
    """A server that ends well when it is asked to, and does not wait for browsers that listen to the live updates."""

    def __init__(self, watch: Watch, config: uvicorn.Config) -> None:
        """Keep whose listeners are to be let go."""
        super().__init__(config)
        self._watch = watch

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear the signals while it serves; uvicorn's own way would end the process by the signal once more."""
        before = {number: signal.signal(number, self._asked) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self._watch.let_go()
        self.handle_exit(number, frame)


def check_files() -> None:
    """Raise OperatorError where the package was built without the files that come from npm packages."""
    missing = [name for name in NEEDED if not (STATIC / "vendor" / name).is_file()]
    if missing:
        raise OperatorError(
            f"the page's files {', '.join(missing)} are missing in {STATIC / 'vendor'}: this package was built without "
            "them; install a released wheel, or run `python tools/page_assets.py` in the source tree"
        )


def _listen(settings: PageSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((settings.host, settings.port))
        found.listen(256)
    except (OSError, OverflowError) as error:
        found.close()
        where = "" if settings.host in LOOPBACK else ", or is no address of this machine"
        raise NetworkError(
            f"{settings.host}:{settings.port}: cannot listen: {error}; another program has this port{where}"
        ) from error
    return found
