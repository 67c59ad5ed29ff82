"""What the tests of alarms have in common: troubles, channels, and servers for mail and webhooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from station.page.alarms.alarm import Trouble, keep_alarms, load_cleared, load_history, load_open
from station.page.alarms.channels import Channel, add_channel, load_channels
from station.page.alarms.sender import find_due
from station.page.database import page_database
from tests.station.page.lab import NOW, Browserless, PageProcess

SECRET = "s3cr3tTopicOfOurLab"
SILENT = Trouble("cage-1", "silent", "no reading for 4 d", False)


class Webhook:
    """A server that keeps what is posted to it, and answers as the test wants."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.got, self.may_answer = status, list[str](), threading.Event()
        self.may_answer.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.got.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                outer.may_answer.wait(60)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"json://127.0.0.1:{self._server.server_port}/{SECRET}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def webhook(status: int = 200) -> Iterator[Webhook]:
    with closing(Webhook(status)) as found:
        yield found


class Mailbox:
    """What aiosmtpd hands every mail to."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    async def handle_DATA(self, _: object, __: object, envelope: object) -> str:  # noqa: N802 - the library's name
        self.got.append(getattr(envelope, "content"))  # noqa: B009 - it has no types
        return "250 taken"


def keep(data: Path, now_s: float, *found: Trouble) -> None:
    with page_database(data) as connection:
        keep_alarms(connection, found, now_s, now_s)


def add(data: Path, address: str = "json://127.0.0.1", group: str = "0", **more: str) -> Channel:
    values = {"name": more.get("name", "hook"), "address": address, "group": group}
    values |= {key: more.get(key, "") for key in ("quiet_from", "quiet_until")}
    with page_database(data) as connection:
        number = add_channel(connection, "admin", "JSON", values, urgent_only=more.get("urgent") == "yes")
        return next(one for one in load_channels(connection) if one.id == number)


def due(data: Path, channel: Channel, now_s: float, at: datetime = NOW) -> list[int]:
    with page_database(data) as connection:
        return [row["alarm"] for row in find_due(connection, channel, now_s, at)]


def what_happened(data: Path) -> list[str]:
    with page_database(data) as connection:
        (alarm,) = [*load_open(connection), *load_cleared(connection)]
        return [entry.what for entry in load_history(connection, alarm.id)]


def admin_of(page: PageProcess, role: str = "admin") -> Browserless:
    found = Browserless(page.port)
    assert found.sign_in(role) == 303
    return found
