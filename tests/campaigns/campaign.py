"""What every campaign has in common: a seed that replays, a budget, one line for the ledger.

    python -m tests.campaigns.NAME --seed S --budget N [--ledger FILE]

Case number i of a run has the seed S + i, so that a fault is replayed by that seed with a budget of 1 (of 100 where 100
cases are drawn from one life). With --ledger, one JSON line is appended for every chunk, and a run that was broken off
goes on where the last line ends.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


class Fault(AssertionError):
    """Something was lost, doubled, wrong or stuck. `seed` replays it with a budget of 1."""

    def __init__(self, seed: int, text: str) -> None:
        super().__init__(f"seed {seed}: {text}")
        self.seed = seed


@dataclass
class Line:
    """One line of the ledger. notes: what was counted on the way, so that a reader sees that the faults did happen."""

    what: str
    seed: int
    unit: str
    done: int = 0
    seconds: float = 0.0
    found: list[str] = field(default_factory=list)
    notes: dict[str, float] = field(default_factory=dict)

    def count(self, what: str, number: float = 1) -> None:
        self.notes[what] = self.notes.get(what, 0) + number

    def keep_highest(self, what: str, number: float) -> None:
        self.notes[what] = max(self.notes.get(what, 0), number)

    def text(self) -> str:
        notes = ", ".join(f"{what} {number:g}" for what, number in sorted(self.notes.items()))
        faults = "; ".join(self.found) if self.found else "none"
        return (
            f"{self.what}: {self.done} {self.unit}, seed {self.seed}, {self.seconds:.0f} s; {notes}; faults: {faults}"
        )


Run = Callable[[Line, int], None]
"""Does `budget` units from the line's seed on and counts them in the line; raises `Fault`."""


def carry_out(run: Run, what: str, unit: str, seed: int, budget: int) -> Line:
    """Return the line of one run, a fault noted in it."""
    line = Line(what, seed, unit)
    started = time.monotonic()
    try:
        run(line, budget)
    except Fault as fault:
        line.found.append(str(fault))
    except Exception as error:  # noqa: BLE001 - whatever the product raises is a finding
        traceback.print_exc()
        line.found.append(f"seed {seed + line.done}: {type(error).__name__}: {error}")
    line.seconds = time.monotonic() - started
    return line


def main(run: Run, what: str, unit: str, *, ci: int, full: int, chunk: int) -> None:
    """The command line of a campaign; exit code 1 after a fault."""
    parser = argparse.ArgumentParser(description=f"{what}: {ci} {unit} with every change, {full} in a full run")
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--budget", type=int, default=ci, help=f"how many {unit} (default {ci})")
    parser.add_argument("--ledger", type=Path, help="append a JSON line per chunk here, and go on where it ends")
    chosen = parser.parse_args()
    done, faults = 0, 0
    if chosen.ledger is not None and chosen.ledger.exists():
        lines = [json.loads(text) for text in chosen.ledger.read_text().splitlines()]
        done = sum(of["done"] for of in lines if of["what"] == what)
    while done < chosen.budget:
        size = min(chunk, chosen.budget - done)
        line = carry_out(run, what, unit, chosen.seed + done, size)
        print(line.text(), flush=True)
        if chosen.ledger is not None:
            with chosen.ledger.open("a") as file:
                file.write(json.dumps(asdict(line)) + "\n")
        faults += len(line.found)
        if line.found and chosen.ledger is None:
            break
        done += size
    sys.exit(1 if faults else 0)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: a simulated disk needs no real one's syncs."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="campaign-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
