"""No space left, at each write of the outbox and on real small file systems."""

import pytest

from tests.campaigns import disk_full
from tests.campaigns.campaign import Line, carry_out


def test_a_disk_that_is_full_at_any_write_costs_nothing_that_was_told():
    line = carry_out(disk_full.run, "disk full", "rounds", 20261121, 240)
    print(line.text())
    assert line.found == []
    assert line.notes["appends refused"] > 0
    assert line.done >= min(240, line.notes["write points"])


@pytest.mark.parametrize("kind", ["tmpfs", "ext4", "overlay"])
def test_a_small_file_system_filled_to_the_last_byte_costs_pictures_first_and_recovers(kind):
    line = Line(kind, 1, "rounds")
    try:
        with disk_full.small_disk(kind) as folder:
            assert disk_full.fill_for_real(folder, line) == ""
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"mounting {kind} needs root and its tools: {error}")
    assert line.notes["times really full"] == 4
