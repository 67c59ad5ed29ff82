"""Kill -9 of device, station and broker at random moments: what was appended is at the station exactly once.

    CAGECLOCK_AT_ONCE=2 python -m tests.campaigns.kills --seed S --budget KILLS [--ledger FILE]

The broker has its defaults and keeps nothing over a kill. Every 50 kills are one system, which ends with a power cut of
all and is then judged: the seed that a fault names replays the kills of its system, as far as real processes repeat.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaigns.campaign import Fault, Line, main
from tests.harness.waiting import wait_until
from tests.system.rig import Rig

PER_SYSTEM = 50
LONGEST_PAUSE_S = 1.6
AT_ONCE = int(os.environ.get("CAGECLOCK_AT_ONCE", "2"))


def one_system(seed: int, kills: int, line: Line, lock: threading.Lock) -> None:
    """Kill the parts of one system, cut its power, and judge what came through.

    Raises:
        Fault: something was lost, doubled, changed, or a process did not come back.
    """
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    rig = Rig(folder, device=f"cage-{seed}")
    rig.add_device(rig.settings(), ["tests/system/feeder.py", str(rig.state_dir), rig.device, str(rig.ledger), "0.02"])
    try:
        rig.start()
        counts = rig.kill_for(kills, seed, LONGEST_PAUSE_S)
        rig.power_cut()
        before = len(rig.promises())
        wait_until(lambda: len(rig.promises()) > before)
        if rig.parts["capture"].stop() != 0:
            raise Fault(seed, "the feeder did not end cleanly")
        quiet_s = rig.wait_for_quiet(240)
        rig.parts["publish"].stop()
        rig.parts["station"].stop()
        found = rig.judge()
    except AssertionError as error:
        raise error if isinstance(error, Fault) else Fault(seed, str(error)) from error
    finally:
        rig.end()
    if found.faults():
        raise Fault(seed, f"{'; '.join(found.faults())}; kept for a look: {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    with lock:
        line.done += kills
        line.count("records", found.appended)
        line.count("thumbnails", found.thumbnails)
        line.keep_highest("quiet_s", round(quiet_s, 1))
        for name, number in counts.items():
            line.count(f"{name} kills", number)


def run(line: Line, budget: int) -> None:
    """Kill `budget` times, 50 on each system, two systems at once."""
    lock = threading.Lock()
    jobs = [(line.seed + start, min(PER_SYSTEM, budget - start)) for start in range(0, budget, PER_SYSTEM)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [pool.submit(one_system, seed, kills, line, lock) for seed, kills in jobs]
        faults = [one.exception() for one in found]
    for fault in faults:
        if fault is not None:
            raise fault


if __name__ == "__main__":
    main(run, "kill -9", "kills", ci=50, full=2000, chunk=100)
