"""A relay on the loopback interface between a client and a broker, whose subclasses meddle with what goes through."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Forwards each connection to `target`; leaving the `with` block ends all of it.

    `pump` may be replaced: it is one direction of one connection, in a thread of its own.
    """

    def __init__(self, target: int) -> None:
        """Listen at once, on `port`."""
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def __enter__(self) -> Self:
        """Return the relay, which runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    def pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        """Forward one direction until it ends. upward: from the client to the broker."""
        while data := source.recv(65536):
            sink.sendall(data)

    def cut(self) -> None:
        """End the connections of now."""
        for each in self._open:
            end(each)

    def close(self) -> None:
        """End the connections, and take no more."""
        end(self._listener)
        self._threads[0].join()
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in self._open:
            each.close()

    def _begin(self, work: object, *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))  # type: ignore[arg-type]
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # the broker is away
                near.close()
                continue
            self._open += [near, far]
            self._begin(self._carry, near, far, True)
            self._begin(self._carry, far, near, False)

    def _carry(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        with contextlib.suppress(OSError):  # either side may have ended
            self.pump(source, sink, upward)
        if not upward:
            end(sink)
        else:
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)


def end(connection: socket.socket) -> None:
    """End a connection; closing alone would wake no thread that waits in it."""
    with contextlib.suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)
