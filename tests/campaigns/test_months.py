"""The simulated months in small, each life of a process begun, killed and judged as in the long run."""

import pytest

from tests.campaigns.campaign import carry_out
from tests.campaigns.months import run


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_due_slot_of_a_month_is_a_reading_or_told_as_missed(capsys: pytest.CaptureFixture[str]) -> None:
    line = carry_out(run, "simulated months", "seeds of 30 days", seed=20261121, budget=20)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.done == 20
    assert line.notes["resident_mb"] < 400
