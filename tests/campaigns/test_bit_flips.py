"""Flipped bits in the outbox; what a full run found is in docs/reliability.md."""

from tests.campaigns import bit_flips
from tests.campaigns.campaign import carry_out


def test_two_hundred_flipped_files_are_noticed_or_harmless():
    line = carry_out(bit_flips.run, "bit flips", "flipped files", 20261121, 200)
    print(line.text())
    assert line.found == []
    assert line.notes["set aside"] > 50


def test_seeds_that_found_something_once_find_nothing_now():
    # The journal's head; two of its entries; the schema; it and the newest record; an epoch's row; names of columns;
    # the two newest entries of the journal.
    for seed in (20261128, 20261140, 20261131, 20261193, 20261278, 20261509, 4000497, 4001557, 4011671):
        assert carry_out(bit_flips.run, "bit flips", "flipped files", seed, 1).found == []
