"""Simulated months and clock steps; what a full run found is in docs/reliability.md."""

import os

import pytest

from tests.campaigns import clock_steps, months
from tests.campaigns.campaign import carry_out

MONTHS = int(os.environ.get("CAGECLOCK_MONTHS", "10"))


@pytest.mark.slow
def test_months_of_faults_leave_no_slot_without_a_reading_or_a_word():
    line = carry_out(months.run, "simulated months", "months", 20261121, MONTHS)
    print(line.text())
    assert line.found == []
    assert all(
        line.notes.get(fault, 0) > 0 for fault in ("kills", "power cuts", "times full", "flipped files", "reboots")
    )


def test_a_hundred_clock_steps_change_neither_numbers_nor_slots():
    line = carry_out(clock_steps.run, "clock steps", "steps", 20261121, 100)
    print(line.text())
    assert line.found == []
    assert line.notes["clock records"] > 0


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(3010, id="a power cut during a capture took the status file with it"),
        pytest.param(3030, id="it took the outbox too, whose own events then looked like a sign of life"),
        pytest.param(3066, id="killed between the first reading after a full disk and the word about the slots before"),
        pytest.param(10244, id="a newest record that could not be read hid what the process before had known"),
        pytest.param(10271, id="the same, and the slot was taken twice"),
    ],
)
def test_a_month_that_once_had_a_hole_has_none(seed):
    assert carry_out(months.run, "simulated months", "months", seed, 1).found == []
