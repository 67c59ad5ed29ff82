"""Random network schedules between device, broker and station: nothing is lost, and both find back.

    CAGECLOCK_AT_ONCE=8 python -m tests.campaigns.network --seed S --budget SCHEDULES [--ledger FILE]

A schedule is one to three faults after each other, each of up to some seconds, on the device's connection, the
station's or both, while readings are appended. Then all is healed, and the time is taken until a reading that was
appended after that is in the station's database. In every eighth schedule one fault lasts longer than the keep-alive.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaigns.campaign import Fault, Line, main
from tests.campaigns.proxy import KINDS, Proxy
from tests.harness.waiting import wait_until
from tests.system.rig import Rig, query

BACK_WITHIN_S = 60.0
KEEPALIVES_S = (10, 20)
"""The shortest that is sensible, and the settings' default."""
PER_SYSTEM = 5
AT_ONCE = int(os.environ.get("CAGECLOCK_AT_ONCE", "8"))


class NetworkRig(Rig):
    """The rig with a proxy before the device's connection to the broker, and one before the station's."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, device=f"cage-{seed}")
        self.keepalive_s = KEEPALIVES_S[seed // PER_SYSTEM % len(KEEPALIVES_S)]
        self.broker.start()
        self.proxies = [Proxy(self.broker.port, seed), Proxy(self.broker.port, seed + 1)]
        for proxy in self.proxies:
            proxy.start()
        settings = self.settings()
        mqtt = settings["mqtt"]
        assert isinstance(mqtt, dict)
        mqtt |= {"port": self.proxies[0].port, "keepalive_s": self.keepalive_s}
        self.parts["station"] = self.part("station", self.station_command(self.proxies[1].port))
        feeder = ["tests/system/feeder.py", str(self.state_dir), self.device, str(self.ledger), "0.05"]
        self.add_device(settings, feeder)

    def station_command(self, port: int) -> list[str]:
        path = self.folder / "station.yaml"
        text = f"name: lab1\ndata: {self.data}\nhost: 127.0.0.1\nport: {port}\nkeepalive_s: {self.keepalive_s}\n"
        path.write_text(text)
        return ["-m", "station.cli", "run", "--config", str(path)]

    def begin(self) -> None:
        for part in self.parts.values():
            part.start()
        wait_until(lambda: self.stored_last() > 3)

    def end(self) -> None:
        super().end()
        for proxy in self.proxies:
            proxy.close()

    def promised_last(self) -> tuple[str, int]:
        """Return the newest identity that `append` has returned."""
        lines = self.ledger.read_text().split("\n")[:-1] if self.ledger.exists() else []
        epoch, seq = lines[-1].split() if lines else ("", "0")
        return epoch, int(seq)

    def stored_last(self) -> int:
        """Return the newest number of the feeder's sequence that the station has."""
        epoch, _ = self.promised_last()
        rows = query(self.data / "station.db", f"SELECT max(seq) FROM records WHERE epoch = '{epoch}'")
        return int(rows[0][0] or 0) if rows else 0


def one_schedule(rig: NetworkRig, chance: random.Random, line: Line) -> float:
    """Break and heal the network; return after how many seconds a reading of after the healing was stored."""
    long_one = chance.random() < 1 / 8
    for _ in range(chance.randint(1, 3)):
        kind = chance.choice(KINDS)
        hit = chance.choice(([0], [0], [1], [0, 1]))
        line.count(kind)
        for index in hit:
            rig.proxies[index].fault(kind)
        time.sleep(chance.uniform(1.6, 2.2) * rig.keepalive_s if long_one else chance.uniform(0.1, 3.0))
        long_one = False
        if chance.random() < 0.7:
            for proxy in rig.proxies:
                proxy.heal()
    for proxy in rig.proxies:
        proxy.heal()
    healed_at, (_, after) = time.monotonic(), rig.promised_last()
    while rig.stored_last() <= after:
        if time.monotonic() - healed_at > 2 * BACK_WITHIN_S:
            said = "\n".join(f"{name}: {part.log()[-600:]}" for name, part in rig.parts.items())
            raise AssertionError(f"not back {2 * BACK_WITHIN_S:.0f} s after the healing\n{said}")
        time.sleep(0.1)
    return time.monotonic() - healed_at


def one_system(seed: int, schedules: int, line: Line, lock: threading.Lock, times: list[float]) -> None:
    """Run some schedules on one system of real processes, and judge what came through."""
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="network-"))
    rig = NetworkRig(folder, seed)
    mine = Line("", seed, "")
    try:
        rig.begin()
        for _ in range(schedules):
            try:
                back_s = one_schedule(rig, chance, mine)
            except AssertionError as error:
                raise Fault(seed, str(error)) from error
            with lock:
                times.append(back_s)
        if rig.parts["capture"].stop() != 0:
            raise Fault(seed, "the feeder did not end cleanly")
        rig.wait_for_quiet(120)
        rig.parts["publish"].stop()
        rig.parts["station"].stop()
        found = rig.judge()
        if found.faults():
            raise Fault(seed, "; ".join(found.faults()))
        with lock:
            line.done += schedules
            line.count("records", found.appended)
            line.count("connections", sum(proxy.opened for proxy in rig.proxies))
            for what, number in mine.notes.items():
                line.count(what, number)
    finally:
        rig.end()
        shutil.rmtree(folder, ignore_errors=True)


def run(line: Line, budget: int) -> None:
    """Run `budget` schedules, ten on each system, some systems at once: most of the time is spent waiting."""
    lock = threading.Lock()
    times: list[float] = []
    jobs = [(line.seed + start, min(PER_SYSTEM, budget - start)) for start in range(0, budget, PER_SYSTEM)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [pool.submit(one_system, seed, count, line, lock, times) for seed, count in jobs]
        faults = [one.exception() for one in found]
    if times:
        times.sort()
        line.notes["back_median_s"] = round(times[len(times) // 2], 2)
        line.keep_highest("back_p99_s", round(times[int(len(times) * 0.99)], 1))
        line.keep_highest("back_worst_s", round(times[-1], 1))
    for fault in faults:
        if fault is not None:
            raise fault
    if times and times[int(len(times) * 0.99)] > BACK_WITHIN_S:
        raise Fault(
            line.seed, f"99% are back after {times[int(len(times) * 0.99)]:.0f} s, expected {BACK_WITHIN_S:.0f}"
        )


if __name__ == "__main__":
    main(run, "network schedules", "schedules", ci=20, full=2000, chunk=160)
