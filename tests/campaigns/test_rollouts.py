"""The campaign of rollouts in small: each kind of end is met, and no device is anywhere else."""

import pytest

from tests.campaigns.campaign import carry_out
from tests.campaigns.rollouts import run


@pytest.mark.slow
def test_every_device_of_a_rollout_ends_where_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    line = carry_out(run, "rollouts over 200 devices", "rollouts", seed=20261128, budget=15)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.notes["done"] > 1
    assert line.notes["by itself"] > 1
