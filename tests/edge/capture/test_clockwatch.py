"""What the wall clock did is reported once, and labels stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.clockwatch import STEP_S, ClockWatch, Correction, Offset, Step

OFFSETS = st.floats(-1e9, 2e9)


@given(st.lists(OFFSETS, min_size=1, max_size=6), OFFSETS, st.floats(0, 1e6))
def test_a_correction_brings_every_label_within_its_uncertainty(
    wrong: list[float], true_offset_s: float, monotonic_s: float
) -> None:
    watch = ClockWatch("boot", None)
    for offset_s in wrong:
        watch.labelled(offset_s, synced=False)
        assert watch.observe(offset_s, synced=False) is None
    found = watch.observe(true_offset_s, synced=True)
    assert isinstance(found, Correction)
    assert found.epoch_offset_s == true_offset_s
    for offset_s in wrong:
        label, truth = monotonic_s + offset_s, monotonic_s + true_offset_s
        assert abs(label + found.offset_s - truth) <= found.uncertainty_s + 1e-3
    assert watch.observe(true_offset_s, synced=True) is None


def test_nothing_is_corrected_where_nothing_was_mislabelled() -> None:
    watch = ClockWatch("boot", None)
    watch.labelled(1e9, synced=True)
    assert watch.observe(1e9, synced=True) is None


def test_another_process_of_the_same_boot_goes_on() -> None:
    watch = ClockWatch("boot", Offset("boot", 5.0, 5.0))
    found = watch.observe(105.0, synced=True)
    assert isinstance(found, Correction)
    assert found.offset_s == pytest.approx(100.0)


def test_another_boots_offset_can_never_be_known() -> None:
    watch = ClockWatch("boot", Offset("earlier", 5.0, 5.0))
    assert watch.observe(105.0, synced=True) is None


@pytest.mark.parametrize(("jump", "reported"), [(0.5, False), (-1.9, False), (STEP_S + 0.1, True), (-3600.0, True)])
def test_a_step_of_the_synchronised_clock_is_reported(jump: float, reported: bool) -> None:
    watch = ClockWatch("boot", None)
    watch.observe(1e9, synced=True)
    found = watch.observe(1e9 + jump, synced=True)
    assert isinstance(found, Step) == reported
    if isinstance(found, Step):
        assert found.step_s == pytest.approx(jump)
    assert watch.observe(1e9 + jump, synced=True) is None
