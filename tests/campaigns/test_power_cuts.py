"""Power cuts under the outbox; what a full run found is in docs/reliability.md."""

from tests.campaigns import power_cuts
from tests.campaigns.campaign import carry_out


def test_two_thousand_power_cuts_lose_nothing_that_append_had_returned_for():
    line = carry_out(power_cuts.run, "power cuts", "cuts", 20261121, 2_000)
    print(line.text())
    assert line.found == []
    assert line.done == 2_000


def test_the_campaign_notices_an_outbox_that_does_not_sync():
    def weaken(outbox):
        outbox._file.connection.execute("PRAGMA synchronous = NORMAL")

    line = carry_out(lambda of, budget: power_cuts.run(of, budget, weaken), "weakened", "cuts", 1, 200)
    assert "lost" in "".join(line.found) or "second time" in "".join(line.found)
