"""The real processes for hours, one reading a second: memory, open files and the disk must not grow.

    python -m tests.campaigns.soak --minutes N --folder DIR [--ledger FILE]

DIR keeps state and samples: another run with the same folder goes on with the same outbox and database, as after a
power cut, and appends its samples. Memory is judged by the slope of a straight line through the samples of one stretch,
after a warm-up of ten minutes (a tenth of a shorter stretch).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.campaigns.campaign import Line
from tests.harness.child import Child
from tests.harness.waiting import wait_until
from tests.system.rig import ROOT, Rig

SAMPLE_S = 10.0
WARM_UP_S = 600.0
SLOPE_LIMIT_MB_H = 8.0
"""What the noise of an hour allows; a year's leak of any size shows over six."""
FILES_LIMIT = 3
TINY = ROOT / "tests" / "data" / "tiny.bundle"


@dataclass(frozen=True)
class Sample:
    """One look at one process: seconds since the stretch began, resident MB, open files."""

    part: str
    at_s: float
    resident_mb: float
    files: int


class SoakRig(Rig):
    """The rig with the real capture, one reading a second."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, device="cage-soak")
        settings = self.settings()
        settings["camera"] = {
            "backend": "simulated",
            "width": 320,
            "height": 240,
            "small_width": 160,
            "px_per_mm": 1.333,
        }
        settings["schedule"] = {"interval_light_s": 1.0, "interval_dark_s": 1.0, "phase_offset_s": 0.0}
        settings["bundle"] = {"path": str(TINY), "trusted_keys": [str(TINY.with_suffix(".pub"))]}
        settings["outbox"] = {"max_mb": 60, "keep_days": 1}
        self.add_device(settings, ["-m", "edge.cli", "capture", "--config", str(self.folder / "cageclock.yaml")])


def look(part: Child, at_s: float) -> Sample:
    """Return what the process holds now."""
    folder = Path("/proc") / str(part.pid)
    pages = int((folder / "statm").read_text().split()[1])
    return Sample(part.name, round(at_s, 1), pages * 4096 / 1e6, len(list((folder / "fd").iterdir())))


def slope_mb_h(samples: list[Sample], length_s: float) -> float:
    """Return the slope of resident memory after the warm-up, MB an hour."""
    begin_s = min(WARM_UP_S, length_s / 10)
    used = [(one.at_s / 3600, one.resident_mb) for one in samples if one.at_s >= begin_s]
    hours, held = np.array(used).T
    return float(np.polyfit(hours, held, 1)[0])


def soak(folder: Path, minutes: float, line: Line) -> list[str]:
    """Run one stretch and return what was wrong with it."""
    rig = SoakRig(folder)
    samples: list[Sample] = []
    before = len(rig.appended())
    began = time.monotonic()
    try:
        rig.start()
        wait_until(lambda: len(rig.appended()) > before + 3)
        with (folder / "samples.jsonl").open("a") as file:
            while (at_s := time.monotonic() - began) < minutes * 60:
                for part in rig.parts.values():
                    assert part.exit_code() is None, f"{part.name} ended:\n{part.log()[-2000:]}"
                    samples.append(look(part, at_s))
                    file.write(json.dumps(asdict(samples[-1])) + "\n")
                file.flush()
                time.sleep(SAMPLE_S)
        assert rig.parts["capture"].stop() == 0
        rig.wait_for_quiet(120)
        rig.parts["publish"].stop()
        rig.parts["station"].stop()
        found = rig.judge()
    finally:
        rig.end()
    length_s = time.monotonic() - began
    faults = found.faults()
    for name in rig.parts:
        own = [one for one in samples if one.part == name]
        slope = slope_mb_h(own, length_s)
        settled = [one.files for one in own if one.at_s >= min(WARM_UP_S, length_s / 10)]
        line.notes[f"{name} MB"] = round(own[-1].resident_mb, 1)
        line.notes[f"{name} MB/h"] = round(slope, 2)
        line.notes[f"{name} files"] = own[-1].files
        if length_s >= 2 * WARM_UP_S and slope > SLOPE_LIMIT_MB_H:
            faults.append(f"{name} grows by {slope:.1f} MB an hour")
        if settled[-1] > settled[0] + FILES_LIMIT:
            faults.append(f"{name} holds {settled[-1]} open files, {settled[0]} after the warm-up")
    line.notes["records"] = found.appended
    line.done, line.seconds = round(minutes), length_s
    return faults


def main() -> None:
    """The command line; exit code 1 after a fault."""
    parser = argparse.ArgumentParser(description="the real processes for hours, one reading a second")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--ledger", type=Path)
    chosen = parser.parse_args()
    line = Line("soak", 0, "minutes")
    line.found = soak(chosen.folder, chosen.minutes, line)
    print(line.text())
    if chosen.ledger is not None:
        with chosen.ledger.open("a") as file:
            file.write(json.dumps(asdict(line)) + "\n")
    sys.exit(1 if line.found else 0)


if __name__ == "__main__":
    main()
