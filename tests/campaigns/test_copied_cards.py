"""The campaign of copied cards in small: no reading of either copy is lost, doubled, hidden or released unseen."""

import pytest

from tests.campaigns.campaign import carry_out
from tests.campaigns.copied_cards import run

ONCE_DOUBLED = (2017, 2020)
"""Both stored records twice: sent before the station's word, and moved by two copies under different epochs."""


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "cases"), [(20261121, 6), *((seed, 1) for seed in ONCE_DOUBLED)])
def test_cards_copied_at_random_moments_lose_double_and_hide_nothing(
    seed: int, cases: int, capsys: pytest.CaptureFixture[str]
) -> None:
    line = carry_out(run, "copied cards", "cases", seed=seed, budget=cases)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.done == cases
