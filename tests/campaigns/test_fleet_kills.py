"""One rollout over three real devices with kill -9 of anything; CAGECLOCK_FLEET_ROLLOUTS=20 makes it the full run."""

import os

import pytest

from tests.campaigns.campaign import carry_out
from tests.campaigns.fleet_kills import run

BUDGET = int(os.environ.get("CAGECLOCK_FLEET_ROLLOUTS", "1"))


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(4000 * max(1, BUDGET))
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account, by SUDO_USER")
def test_every_device_ends_where_the_rollout_says_whatever_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    line = carry_out(run, "rollouts under kills", "rollouts", seed=20261129, budget=BUDGET)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.done == BUDGET
    assert line.notes["records"] > 0
    assert sum(number for what, number in line.notes.items() if what.endswith(" kills")) > 0
