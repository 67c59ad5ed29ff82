"""One attempt to get a file over HTTP(S): it goes on where the last one ended, and takes what was ordered or nothing.

The server is believed in nothing: not the length that it says, nor where it redirects to, nor that it ever ends. What
came is compared with the ordered SHA-256 by the caller.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.fetch.hosts import Address, NotAllowed, parse_allowed
from edge.version import VERSION

MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 1 << 16
_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)")
_ETAG = re.compile(r'"[!#-~]{1,200}"')
"""A strong one; by a weak one no range can be asked for."""


class Failed(Exception):
    """This attempt ended without the file. reason: a code of `edge.contract.reported.REASONS`."""

    def __init__(self, reason: str, text: str) -> None:
        """Keep both."""
        self.reason = reason
        super().__init__(text)


class Paused(Exception):
    """Something else is due; what came so far is kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """connect_s: for the connection, and until the headers have come. stall_s: within which `least_bytes` must come."""

    connect_s: float = 30.0
    stall_s: float = 60.0
    least_bytes: int = 4096


LIMITS = Limits()


class CardFailed(Exception):
    """What came cannot be kept; its text says why."""


class Part:
    """A file on its way: what has come of it, and the server's mark (ETag) of the version that it is of."""

    def __init__(self, path: Path) -> None:
        """Nothing is made before the first bytes."""
        self.path = path
        self._mark = path.with_name(f"{path.name}.etag")

    @property
    def length(self) -> int:
        """How many bytes have come."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    @property
    def mark(self) -> str:
        """The version's mark, "" where the server gave none."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self._mark.read_text("ascii")
        return ""

    def begin(self, mark: str) -> None:
        """Forget what has come, and begin with another version.

        Raises:
            CardFailed: that cannot be written.
        """
        try:
            self.discard()
            self.path.parent.mkdir(mode=0o750, exist_ok=True)
            self._mark.write_text(mark, "ascii")
        except OSError as error:
            raise CardFailed(f"{self.path}: {error.strerror}") from error

    def discard(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    @contextlib.contextmanager
    def appending(self) -> Iterator[Callable[[bytes], None]]:
        """Yield what appends bytes; they are durable at the end, however it ends.

        Raises:
            CardFailed: they cannot be written.
        """
        handle = -1

        def append(chunk: bytes) -> None:
            try:
                left = memoryview(chunk)
                while left:
                    left = left[os.write(handle, left) :]
            except OSError as error:
                raise CardFailed(f"{self.path}: {error.strerror}") from error

        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise CardFailed(f"{self.path}: {error.strerror}") from error
        try:
            yield append
        finally:
            try:
                os.fsync(handle)
            except OSError as error:
                raise CardFailed(f"{self.path}: {error.strerror}") from error
            finally:
                os.close(handle)


def download(
    url: str,
    part: Part,
    size: int,
    hosts: Sequence[str],
    tick: Callable[[], None],
    context: ssl.SSLContext | None = None,
    limits: Limits = LIMITS,
) -> None:
    """Complete `part` to exactly `size` bytes. tick: called between chunks; it may raise Paused.

    Raises:
        Failed: it did not come to its end; what came is kept where it may be gone on with.
        Paused: as `tick` says.
        CardFailed: what came cannot be kept.
    """
    base: str | None = None
    for _ in range(MAX_REDIRECTS + 1):
        try:
            address, base = parse_allowed(url, hosts, base)
        except NotAllowed as error:
            raise Failed("host_not_allowed", str(error)) from error
        with _asked(address, part, context, limits) as answer:
            if answer.status not in _REDIRECTS:
                _take(answer, address, part, size, tick, limits)
                return
            url = answer.headers.get("Location", "")
        tick()
    raise Failed("unreachable", f"{address.text} redirects more than {MAX_REDIRECTS} times")


@contextlib.contextmanager
def _asked(
    address: Address, part: Part, context: ssl.SSLContext | None, limits: Limits
) -> Iterator[http.client.HTTPResponse]:
    """Yield the answer to the request for what is missing; the network's errors become `Failed`."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=limits.connect_s)
    if address.secure:
        context = context or ssl.create_default_context()
        connection = http.client.HTTPSConnection(address.host, address.port, timeout=limits.connect_s, context=context)
    headers = {"User-Agent": f"cageclock/{VERSION}", "Accept-Encoding": "identity"}
    if part.length and part.mark:
        headers |= {"Range": f"bytes={part.length}-", "If-Range": part.mark}
    elif part.length:
        headers |= {"Range": f"bytes={part.length}-"}
    try:
        connection.connect()
        with _bounded(connection, limits.connect_s):
            connection.request("GET", address.target, headers=headers)
            answer = connection.getresponse()
        with answer:  # it holds the socket beside the connection
            yield answer
    except TimeoutError as error:
        raise Failed("stalled", f"{address.text} sends nothing more") from error
    except ssl.SSLError as error:
        text = f"{address.text}: TLS failed: {error.reason or error}; is its certificate of an authority known here?"
        raise Failed("unreachable", text) from error
    except (http.client.HTTPException, ConnectionError, OSError) as error:
        said = str(error) or type(error).__name__
        raise Failed("unreachable", f"{address.text} does not answer as it should: {said[:300]}") from error
    finally:
        connection.close()


@contextlib.contextmanager
def _bounded(connection: http.client.HTTPConnection, limit_s: float) -> Iterator[None]:
    """End the connection where what happens within takes longer: a header byte now and then would go on for ever."""

    def cut() -> None:
        with contextlib.suppress(OSError):
            if connection.sock is not None:
                connection.sock.shutdown(2)

    timer = threading.Timer(limit_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _take(
    answer: http.client.HTTPResponse, address: Address, part: Part, size: int, tick: Callable[[], None], limits: Limits
) -> None:
    """Take in the body of an answer."""
    if answer.status == 416:
        part.discard()
        raise Failed("unreachable", f"{address.text} has no such part of the file; it is begun again")
    if answer.status not in (200, 206):
        raise Failed("unreachable", f"{address.text} answered {answer.status} {answer.reason[:100]}")
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Failed("wrong_content", f"{address.text} sends the file encoded, which was not asked for")
    if answer.status == 206:
        _check_range(answer, address, part, size)
    else:
        said = answer.headers.get("Content-Length")
        if said is not None and said.strip() != str(size):
            part.discard()
            raise Failed("wrong_content", f"{address.text} says {said[:20]} bytes, the wish says {size}")
        mark = answer.headers.get("ETag", "")
        part.begin(mark if _ETAG.fullmatch(mark) else "")
    have, since_s, since = part.length, time.monotonic(), 0
    assert have <= size
    with part.appending() as append:
        while have < size or answer.status == 200:
            chunk = answer.read1(_CHUNK)
            if not chunk:
                break
            have, since = have + len(chunk), since + len(chunk)
            if have > size:
                part.path.unlink(missing_ok=True)
                raise Failed("wrong_content", f"{address.text} sends more than the {size} bytes of the wish")
            append(chunk)
            if time.monotonic() - since_s > limits.stall_s:
                if since < limits.least_bytes:
                    raise Failed("stalled", f"{address.text} sent {since} bytes in {limits.stall_s:g} s")
                since_s, since = time.monotonic(), 0
            tick()
    if have < size:
        raise Failed("unreachable", f"{address.text} ended after {have} of {size} bytes; it goes on from there")


def _check_range(answer: http.client.HTTPResponse, address: Address, part: Part, size: int) -> None:
    said = answer.headers.get("Content-Range", "")
    found = _RANGE.fullmatch(said)
    if found is None or int(found[1]) != part.length or found[3] not in ("*", str(size)):
        part.discard()
        raise Failed(
            "wrong_content", f"{address.text} sends {said[:60]!r} in place of what is missing; it is begun again"
        )
