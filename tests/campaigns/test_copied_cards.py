"""The campaign of copied cards in small: no reading of either copy is lost, doubled, hidden or released unseen."""

import pytest

from tests.campaigns.campaign import carry_out
from tests.campaigns.copied_cards import run


@pytest.mark.broker
@pytest.mark.slow
def test_cards_copied_at_random_moments_lose_double_and_hide_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    line = carry_out(run, "copied cards", "cases", seed=20261121, budget=6)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.done == 6
