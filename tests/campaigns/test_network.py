"""The network campaign in small: random faults between device, broker and station."""

import pytest

from tests.campaigns.campaign import carry_out
from tests.campaigns.network import run


@pytest.mark.broker
@pytest.mark.slow
def test_random_network_faults_lose_nothing_and_both_find_back(capsys: pytest.CaptureFixture[str]) -> None:
    line = carry_out(run, "network schedules", "schedules", seed=20261121, budget=20)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.done == 20
