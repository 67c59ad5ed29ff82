"""The store on SQLite and on PostgreSQL: the same readings into both, in turns, so that a busy machine slows both."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.station_ingest import BATCH, _body, _device, _payloads
from benchmarks.table import Row
from station.store.message import Arrival
from station.store.postgres.address import Address
from station.store.postgres.place import keep_address
from station.store.store import Store
from tests.harness.postgres import Postgres

READINGS = 6_000
NAMES = ("SQLite", "PostgreSQL")


def rows() -> list[Row]:
    """Return the rate and the CPU time of each."""
    payloads = _payloads([_body(number) for number in range(1, READINGS + 1)])
    arrivals = [Arrival(_device(n), "reading", payload, 0.0) for n, payload in enumerate(payloads)]
    with tempfile.TemporaryDirectory(dir="/tmp") as name, Postgres(durable=True) as server:
        folders = [Path(name, one) for one in NAMES]
        keep_address(folders[1], Address(database=server.new_database()))
        with closing(Store.open(folders[0])) as one, closing(Store.open(folders[1])) as two:
            seconds: list[list[float]] = [[], []]
            own: list[list[float]] = [[], []]
            servers_before = _cpu_s(server)
            for first in range(0, READINGS, BATCH):
                batch = arrivals[first : first + BATCH]
                for index, store in enumerate((one, two)):
                    began, cpu = time.perf_counter(), time.process_time()
                    assert store.take(batch).stored == len(batch)
                    seconds[index].append(time.perf_counter() - began)
                    own[index].append(time.process_time() - cpu)
            servers = (_cpu_s(server) - servers_before) / READINGS
    rates = [BATCH / statistics.median(found) for found in seconds]
    found = []
    for index, name in enumerate(NAMES):
        us = sum(own[index]) / READINGS * 1e6
        also = f", {servers * 1e6:.0f} of the server" if index else ""
        found.append(
            Row(
                f"store on {name}, batches of {BATCH}",
                f"{rates[index]:,.0f} readings/s",
                f"{rates[index] / rates[0]:.2f}",
                f"{us:.0f} us CPU a reading{also}; every commit synced; medians",
            )
        )
    return found


def _cpu_s(server: Postgres) -> float:
    """Return the seconds of CPU that the server's living processes have used."""
    ticks = 0
    for process in (server.child.pid, *server.processes()):
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")
