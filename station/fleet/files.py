"""Bundle files over HTTP for the devices: GET and HEAD of one file, whole or a range of it; nothing else is there.

What is served is signed and no secret; a device believes nothing but the signatures. So there is no login, and nothing
that a stranger could learn or change. HTTPS comes from a proxy where it is wanted.
"""

from __future__ import annotations

import logging
import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

from edge.errors import NetworkError
from station.fleet.keep.bundles import bundle_path
from station.fleet.settings import Files

LOG = logging.getLogger("station.fleet")
IDLE_S = 30.0
MOST_AT_ONCE = 32
_CHUNK = 64 * 1024
_PATH = re.compile(r"/bundles/([0-9a-f]{64})\.bundle")
_RANGE = re.compile(r"bytes=([0-9]{1,12})?-([0-9]{1,12})?")


class FileServer:
    """Serves `<data>/bundles` in threads of its own until `stop`."""

    def __init__(self, data: Path, settings: Files) -> None:
        """Listen; `start` answers.

        Raises:
            NetworkError: the address is taken or not this machine's.
        """
        places = threading.BoundedSemaphore(MOST_AT_ONCE)
        handler = type("Handler", (_Handler,), {"data": data, "places": places})
        try:
            self._server = _Server((settings.host, settings.port), handler)
        except OSError as error:
            raise NetworkError(
                f"files: {settings.host}:{settings.port}: cannot listen: {error}; does another program have this port?"
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="files", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port; what is under way ends with the process."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say one line: a device that goes away in the middle is no error of ours."""
        LOG.debug("a download from %s ended early", client_address)


class _Handler(BaseHTTPRequestHandler):
    data: Path
    places: threading.BoundedSemaphore
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "cageclock", ""
    timeout = IDLE_S

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the log for what matters."""

    def _answer(self, *, body: bool) -> None:
        found = _PATH.fullmatch(self.path)
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        if not self.places.acquire(blocking=False):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "60"})
            return
        try:
            with bundle_path(self.data, found[1]).open("rb") as file:
                self._send(file, found[1], body)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self._refuse(HTTPStatus.NOT_FOUND)
            else:
                self.close_connection = True
        finally:
            self.places.release()

    def _send(self, file: BinaryIO, sha256: str, body: bool) -> None:
        size = file.seek(0, 2)
        span = self._span(size, f'"{sha256}"')
        if span is None:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{size}"})
            return
        first, last, partial = span
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{sha256}"')
        self.send_header("Cache-Control", "no-transform")
        if partial:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if not body:
            return
        file.seek(first)
        left = last - first + 1
        while left > 0 and (part := file.read(min(_CHUNK, left))):
            self.wfile.write(part)
            left -= len(part)
        if left:
            self.close_connection = True  # the file became shorter: the device sees that the length is wrong

    def _span(self, size: int, etag: str) -> tuple[int, int, bool] | None:
        """Return first and last byte and whether that is a part; None where the range lies outside the file."""
        asked = self.headers.get("Range")
        if asked is None or self.headers.get("If-Range", etag) != etag:
            return 0, size - 1, False
        found = _RANGE.fullmatch(asked.strip())
        if found is None or (found[1] is None and found[2] is None):
            return (
                0,
                size - 1,
                False,
            )  # several ranges, or another unit: the whole file is an answer too (RFC 9110, 14.2)
        if found[1] is None:
            count = min(int(found[2]), size)
            return (size - count, size - 1, True) if count else None
        first = int(found[1])
        last = min(int(found[2]), size - 1) if found[2] is not None else size - 1
        if found[2] is not None and int(found[2]) < first:
            return 0, size - 1, False
        return (first, last, True) if first < size else None

    def _refuse(self, status: HTTPStatus, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
