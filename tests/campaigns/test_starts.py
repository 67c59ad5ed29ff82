"""The campaign of one-capture starts in small: few epochs, every number accounted for, no message too long."""

import pytest

from tests.campaigns.campaign import carry_out
from tests.campaigns.starts import run


@pytest.mark.broker
@pytest.mark.slow
def test_starts_of_one_capture_leave_no_number_without_account(capsys: pytest.CaptureFixture[str]) -> None:
    line = carry_out(run, "one-capture starts", "starts", seed=20261121, budget=150)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.notes["ceiling: epochs gone"] > 0
