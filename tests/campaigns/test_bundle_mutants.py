"""The campaign of mutated bundles in small; CAGECLOCK_BUNDLE_MUTANTS=1000000 makes it the full one."""

import os

import pytest

from tests.campaigns.bundle_mutants import MAKERS, run
from tests.campaigns.campaign import carry_out

BUDGET = int(os.environ.get("CAGECLOCK_BUNDLE_MUTANTS", "2000"))


@pytest.mark.slow
@pytest.mark.timeout(max(1800, BUDGET // 20))
def test_no_mutated_bundle_is_accepted_and_none_takes_long(capsys: pytest.CaptureFixture[str]) -> None:
    line = carry_out(run, "mutated bundles", "mutants", seed=20261129, budget=BUDGET)
    with capsys.disabled():
        print(f"\n{line.text()}")
    assert line.found == []
    assert line.done == BUDGET
    assert all(line.notes[kind] > 0 for kind, _, _ in MAKERS)
    assert line.notes["installer"] > 0
