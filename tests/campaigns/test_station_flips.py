"""Bit flips in the station's database and pictures; what a full run found is in docs/reliability.md."""

import pytest

from station.store.inspection import Inspection
from tests.campaigns import station_flips
from tests.campaigns.campaign import carry_out


def test_flipped_bits_are_named_by_the_pass_or_harmless() -> None:
    line = carry_out(station_flips.run, "bit flips of the station", "flipped files", 20261121, 80)
    print(line.text())
    assert line.found == []
    assert line.notes["named by the pass"] > 5


def test_the_campaign_notices_a_pass_that_believes_the_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Inspection, "_led_to", lambda _self, _number, _row: [])
    line = carry_out(station_flips.run, "weakened", "flipped files", 11, 1)
    assert "the days are not what the log says" in "".join(line.found)
