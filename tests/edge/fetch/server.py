"""A file server on a real socket, honest or scripted to misbehave: a script a request, the last one for all others."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable

Script = Callable[[socket.socket, bytes, bytes], None]
"""Answers one request: the connection, the request's head, the file."""


def honest(connection: socket.socket, head: bytes, content: bytes, *, etag: str = '"one"') -> None:
    """Serve the file with ranges, as any web server does."""
    found = re.search(rb"Range: bytes=(\d+)-", head)
    condition = re.search(rb"If-Range: (\S+)", head)
    begin = int(found[1]) if found and (condition is None or condition[1] == etag.encode()) else 0
    if found and begin >= len(content):
        connection.sendall(b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n")
        return
    lines = [b"HTTP/1.1 206 Partial Content" if begin else b"HTTP/1.1 200 OK", b"ETag: " + etag.encode()]
    if begin:
        lines.append(b"Content-Range: bytes %d-%d/%d" % (begin, len(content) - 1, len(content)))
    lines += [b"Content-Length: %d" % (len(content) - begin), b"", b""]
    connection.sendall(b"\r\n".join(lines) + content[begin:])


def cut_after(count: int) -> Script:
    """Say the whole length and send so many bytes of what was asked for."""

    def script(connection: socket.socket, head: bytes, content: bytes) -> None:
        found = re.search(rb"Range: bytes=(\d+)-", head)
        begin = int(found[1]) if found else 0
        status = b"206 Partial Content" if found else b"200 OK"
        span = b"Content-Range: bytes %d-%d/%d\r\n" % (begin, len(content) - 1, len(content)) if found else b""
        said = b'HTTP/1.1 %s\r\nETag: "one"\r\n%sContent-Length: %d\r\n\r\n' % (status, span, len(content) - begin)
        connection.sendall(said + content[begin : begin + count])

    return script


def raw(answer: bytes, body: bytes = b"") -> Script:
    """Send exactly this."""
    return lambda connection, _head, _content: connection.sendall(answer + body)


def redirect(url: str) -> Script:
    return raw(b"HTTP/1.1 302 Found\r\nLocation: " + url.encode() + b"\r\nContent-Length: 0\r\n\r\n")


class Server:
    """Serves one file at every path, until it is closed."""

    def __init__(self, content: bytes, *scripts: Script) -> None:
        self.content, self.scripts, self.heads = content, list(scripts), list[bytes]()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.released = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/lab.bundle"

    def close(self) -> None:
        self.released.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(30)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(30)
                head = b""
                try:
                    while b"\r\n\r\n" not in head and (more := connection.recv(65536)):
                        head += more
                    self.heads.append(head)
                    at = len(self.heads) - 1
                    script = self.scripts[min(at, len(self.scripts) - 1)] if self.scripts else honest
                    script(connection, head, self.content)
                except OSError:
                    pass  # the client went away
