"""A TCP proxy that breaks what goes through it: between a client and a broker, on the loopback interface."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

CHUNK = 4096
KINDS = ("latency", "slicing", "black_hole", "half_open", "reset", "refuse", "cut_inside")


@dataclass(eq=False)
class Way:
    """One connection through the proxy. dead: half open, nothing passes any more and nobody notices."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    dead: bool = False
    passed: int = 0


@dataclass
class Proxy:
    """Listens on `port` and forwards to `target`. `fault` sets what is wrong from now on; `heal` ends it.

    opened: how many connections the broker was reached by. answered_at: when bytes last came back to the client
    (`time.monotonic`).
    """

    target: int
    seed: int = 0
    port: int = 0
    opened: int = 0
    answered_at: float = 0.0
    _kind: str = ""
    _ways: set[Way] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._live, name="proxy", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10), "the proxy did not start"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def fault(self, kind: str) -> None:
        """Begin a fault; latency, slicing, black_hole and refuse last until `heal`, the others hit once."""
        assert kind in KINDS, kind
        self._call(self._break, kind)

    def heal(self) -> None:
        """End the fault. What a black hole held back goes on its way, as TCP would send it again."""
        self._call(self._mend)

    def _call(self, what: object, *arguments: object) -> None:
        done = threading.Event()

        def work() -> None:
            what(*arguments)  # type: ignore[operator]
            done.set()

        self._loop.call_soon_threadsafe(work)
        assert done.wait(10), "the proxy does not answer"

    def _live(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._whole.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", self.port))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        server.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _break(self, kind: str) -> None:
        self._kind = kind
        if kind == "black_hole":
            self._whole.clear()
        if kind == "half_open":
            for way in self._ways:
                way.dead = True
                way.server.close()
        if kind in ("reset", "refuse"):
            for way in list(self._ways):
                _reset(way.client)
                _reset(way.server)
        if kind in ("half_open", "reset"):
            self._kind = ""

    def _mend(self) -> None:
        self._kind = ""
        self._whole.set()

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._kind == "refuse":
            _reset(client)
            return
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(client)
            return
        way = Way(client, server)
        self.opened += 1
        self._ways.add(way)
        try:
            await asyncio.gather(self._pump(way, reader, server, False), self._pump(way, answers, client, True))
        finally:
            self._ways.discard(way)

    async def _pump(self, way: Way, source: asyncio.StreamReader, target: asyncio.StreamWriter, answer: bool) -> None:
        """Forward one direction until it ends."""
        try:
            while data := await source.read(CHUNK):
                await self._whole.wait()
                if way.dead:
                    continue
                await self._forward(way, data, target)
                if answer:
                    self.answered_at = time.monotonic()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if not way.dead:
                target.close()

    async def _forward(self, way: Way, data: bytes, target: asyncio.StreamWriter) -> None:
        kind, chance = self._kind, self._chance
        if kind == "latency":
            await asyncio.sleep(chance.uniform(0.02, 0.6))
        if kind == "cut_inside" and len(data) > 1:  # in the middle of a packet
            self._kind = ""
            target.write(data[: chance.randrange(1, len(data))])
            await target.drain()
            _reset(way.client)
            _reset(way.server)
            return
        if kind == "slicing":
            at = 0
            while at < len(data):
                size = chance.randrange(1, 200)
                target.write(data[at : at + size])
                await target.drain()
                at += size
                await asyncio.sleep(0)
            return
        target.write(data)
        await target.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that the other side sees a broken connection and not of an end."""
    raw = writer.get_extra_info("socket")
    if raw is not None:
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            return
    writer.transport.abort()
