"""The hostile messages in small; `python -m tests.campaigns.hostile --budget 1000000` is the full run."""

import os

import pytest

from tests.campaigns.campaign import carry_out
from tests.campaigns.hostile import run

BUDGET = int(os.environ.get("CAGECLOCK_HOSTILE_MESSAGES", "4000"))


@pytest.mark.slow
@pytest.mark.timeout(max(1800, BUDGET // 20))
def test_no_message_stops_the_station_or_makes_a_promise_false(capsys: pytest.CaptureFixture[str]) -> None:
    line = carry_out(run, "hostile messages", "messages", seed=20261128, budget=BUDGET)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.done == BUDGET
    assert line.notes["records"] > 0
    assert line.notes["quarantine"] > 0
    assert line.notes["over a quota"] > 0
