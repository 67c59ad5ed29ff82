"""Servers that lie, stall, drip and never end get nothing installed and hold nobody up."""

from __future__ import annotations

import socket
import time

import pytest

from tests.edge.fetch.lab import HEAD, Lab
from tests.edge.fetch.server import Script, Server, raw, redirect

LIES: dict[str, tuple[Script, str]] = {
    "a shorter length": (raw(HEAD + b"Content-Length: 10\r\n\r\n", b"0123456789"), "wrong_content"),
    "a longer length": (raw(HEAD + b"Content-Length: 999999999999\r\n\r\n", b"x" * 100), "wrong_content"),
    "a negative length": (raw(HEAD + b"Content-Length: -1\r\n\r\n", b"x" * 100), "wrong_content"),
    "no length and too little": (raw(HEAD + b"\r\n", b"x" * 100), "unreachable"),
    "an encoding": (raw(HEAD + b"Content-Encoding: gzip\r\n\r\n", b"x" * 100), "wrong_content"),
    "another range": (
        raw(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n", b"12345"),
        "wrong_content",
    ),
    "an error": (raw(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "unreachable"),
    "no HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "unreachable"),
    "nothing": (raw(b""), "unreachable"),
    "a header without end": (raw(HEAD + b"X: " + b"y" * 200_000), "unreachable"),
    "headers without end": (raw(HEAD + b"X: y\r\n" * 10_000 + b"\r\n"), "unreachable"),
    "a redirect to nowhere": (raw(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), "unreachable"),
    "a redirect to a file": (redirect("file:///etc/passwd"), "host_not_allowed"),
    "a redirect that is no address": (redirect("http://[::1/x"), "host_not_allowed"),
    "a redirect to another protocol": (redirect("ftp://127.0.0.1/x"), "host_not_allowed"),
}


@pytest.mark.parametrize("what", LIES)
def test_a_server_that_lies_gets_nothing_installed(what: str, lab: Lab) -> None:
    script, reason = LIES[what]
    with Server(lab.content, script) as server:
        lab.wish(server.url)
        state = lab.cycle()
        assert state.reason == reason, state.advice
        assert state.state == ("refused" if reason == "host_not_allowed" else "fetching")
    assert lab.inbox() == []


def test_endless_data_ends_at_the_size_of_the_wish(lab: Lab) -> None:
    sent = 0

    def endless(connection: socket.socket, _head: bytes, _content: bytes) -> None:
        nonlocal sent
        connection.sendall(HEAD + b"\r\n")
        while True:
            sent += connection.send(b"x" * 65536)

    with Server(lab.content, endless) as server:
        lab.wish(server.url)
        kept = [0]
        fetcher = lab.fetcher(alive=lambda: kept.append(max(path.stat().st_size for path in lab.parts())))
        assert lab.cycle(fetcher).reason == "wrong_content"
    assert max(kept) <= len(lab.content)
    assert sent < len(lab.content) + 20_000_000
    assert lab.parts() == []


@pytest.mark.parametrize("sends", [b"", HEAD, HEAD + b"Content-Length: 100000\r\n\r\nabc"])
def test_a_server_that_stalls_is_left(sends: bytes, lab: Lab) -> None:
    with Server(lab.content) as server:

        def stall(connection: socket.socket, _head: bytes, _content: bytes) -> None:
            connection.sendall(sends.replace(b"100000", str(len(lab.content)).encode()))
            server.released.wait(60)

        server.scripts = [stall]
        lab.wish(server.url)
        begin_s = time.monotonic()
        state = lab.cycle()
        assert state.reason in ("stalled", "unreachable")
        assert time.monotonic() - begin_s < 40
        server.released.set()


def test_a_server_that_sends_a_byte_now_and_then_is_left(lab: Lab) -> None:
    def drip(connection: socket.socket, _head: bytes, content: bytes) -> None:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(content))
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    with Server(lab.content, drip) as server:
        lab.wish(server.url)
        assert lab.cycle().reason == "stalled"


def test_headers_that_drip_are_cut(lab: Lab) -> None:
    def drip(connection: socket.socket, _head: bytes, _content: bytes) -> None:
        connection.sendall(HEAD)
        while True:
            connection.sendall(b"X: y\r\n"[:1])
            time.sleep(0.05)

    with Server(lab.content, drip) as server:
        lab.wish(server.url)
        begin_s = time.monotonic()
        assert lab.cycle().reason in ("stalled", "unreachable")
        assert time.monotonic() - begin_s < 40
