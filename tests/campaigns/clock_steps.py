"""The wall clock is set by up to twenty years, again and again: ids, order and slots never depend on it.

Capture's own code on a virtual clock, with power cuts and no other fault: every slot has exactly one reading, numbers
follow each other in the order of their times, the light phase is unknown while the time is, and there is one clock
record at most for each time that the clock was set.
"""

from __future__ import annotations

import contextlib
import io
from itertools import pairwise

from edge.contract import jsontext
from tests.campaigns.campaign import Fault, Line, main, quick_folder
from tests.campaigns.months import Life, Rates

ONLY_STEPS = Rates(kill=0, power=0.01, step=0.7, sync=0.1, full=0, late=0, publish=0.05, damage=0, camera=0)
DAYS = 6.0


def run(line: Line, budget: int) -> None:
    lives = 0
    while line.done < budget:
        seed = line.seed + lives
        lives += 1
        with quick_folder() as folder, contextlib.redirect_stderr(io.StringIO()):
            life = Life(folder, seed, ONLY_STEPS, DAYS)
            fault = life.live(line) or out_of_order(life)
        line.done = int(line.notes.get("clock steps", 0))
        if fault:
            raise Fault(seed, fault)


def out_of_order(life: Life) -> str:
    """Return what is wrong with the order of the numbers: boot by boot, and by the monotonic clock within each."""
    boots = {boot.boot_id: number for number, boot in enumerate(life.clock.boots)}
    bodies = {key: jsontext.parse(body) for key, body in life.station.records.items()}
    for epoch in {epoch for epoch, _ in bodies}:
        held = sorted(seq for of, seq in bodies if of == epoch)
        if held != list(range(1, len(held) + 1)):
            return f"numbers are missing in epoch {epoch[:8]}"
        times = [(boots[bodies[epoch, seq]["boot_id"]], bodies[epoch, seq]["monotonic_s"]) for seq in held]
        if any(later < earlier for earlier, later in pairwise(times)):
            return f"numbers of epoch {epoch[:8]} are not in the order of their times"
    return ""


if __name__ == "__main__":
    main(run, "clock steps", "steps", ci=100, full=10_000, chunk=500)
