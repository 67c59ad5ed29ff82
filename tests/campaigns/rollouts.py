"""Rollouts by chance over hundreds of simulated devices: every one ends where the rollout says.

    python -m tests.campaigns.rollouts --seed S --budget ROLLOUTS [--ledger FILE]

Fates, studies, thresholds, limits and absences by chance; devices come late, are switched off and on, rollouts are
paused and aborted; then all devices are connected and the state machine comes to rest.
"""

from __future__ import annotations

from tests.campaigns.campaign import Fault, Line, main
from tests.station.fleet.simulated import play, random_lab, wrong_ends

DEVICES, STEPS = 200, 20


def run(line: Line, budget: int) -> None:
    """Do so many rollouts."""
    for number in range(budget):
        seed = line.seed + number
        lab = random_lab(seed, DEVICES)
        try:
            play(lab, seed, STEPS)
        except AssertionError as error:
            raise Fault(seed, str(error)) from error
        wrong = wrong_ends(lab)
        if wrong:
            raise Fault(seed, "; ".join(wrong[:3]))
        line.done += 1
        line.count(lab.rollout.status)
        line.count("devices", len(lab.fakes))
        line.count("by itself", lab.rollout.reason.startswith("ring"))


if __name__ == "__main__":
    main(run, "rollouts over 200 devices", "rollouts", ci=15, full=10_000, chunk=100)
