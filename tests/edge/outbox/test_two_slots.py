"""A file written in place: whatever a power cut leaves of a write, what was written before it is still there."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.outbox.two_slots import SLOT, read_slots, write_slots

contents = st.lists(st.binary(min_size=1, max_size=3000), min_size=2, max_size=8)


@given(written=contents)
def test_what_was_written_last_is_read(tmp_path_factory: pytest.TempPathFactory, written: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("slots") / "status"
    for content in written:
        write_slots(path, content)
        assert read_slots(path) == content
    assert path.stat().st_size == 2 * SLOT


@given(written=contents, cut=st.floats(0, 1), garbage=st.booleans())
def test_a_torn_write_leaves_what_was_written_before_it(
    tmp_path_factory: pytest.TempPathFactory, written: list[bytes], cut: float, garbage: bool
) -> None:
    """Some first part of the new slot reached the card; the rest holds what was there, or zeros."""
    path = tmp_path_factory.mktemp("slots") / "status"
    for content in written[:-1]:
        write_slots(path, content)
    before = path.read_bytes()
    write_slots(path, written[-1])
    after = path.read_bytes()
    changed = [at for at in range(len(after)) if after[at] != before[at]]
    last = changed[0] + int(cut * (changed[-1] - changed[0]))  # at least one byte of the write is missing
    rest = bytes(changed[-1] + 1 - last) if garbage else before[last : changed[-1] + 1]
    path.write_bytes(after[:last] + rest + before[changed[-1] + 1 :])
    whole = rest == after[last : changed[-1] + 1]
    assert read_slots(path) == written[-1 if whole else -2]
    write_slots(path, b"goes on")
    assert read_slots(path) == b"goes on"


def test_the_file_is_never_renamed_over(tmp_path: Path) -> None:
    """ext4 flushes the card at a rename over a file: only the first write makes one."""
    path = tmp_path / "status"
    write_slots(path, b"first")
    inode, size = path.stat().st_ino, path.stat().st_size
    for number in range(5):
        write_slots(path, b"%d" % number)
        assert (path.stat().st_ino, path.stat().st_size) == (inode, size)
    assert [one.name for one in tmp_path.iterdir()] == ["status"]


def test_a_file_of_an_earlier_version_is_read_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_bytes(b'{"was": "plain"}')
    assert read_slots(path) == b'{"was": "plain"}'
    write_slots(path, b'{"is": "in a slot"}')
    assert read_slots(path) == b'{"is": "in a slot"}'


def test_what_fits_in_no_slot_is_kept_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "status"
    for content in (b"small", b"x" * SLOT, b"y" * 3 * SLOT, b"small again"):
        write_slots(path, content)
        assert read_slots(path) == content


@pytest.mark.parametrize("flip", [0, 20, 40, 80])
def test_a_flipped_bit_costs_its_slot_alone(tmp_path: Path, flip: int) -> None:
    path = tmp_path / "status"
    write_slots(path, b"older, and whole" * 10)
    write_slots(path, b"newer" * 10)
    held = bytearray(path.read_bytes())
    held[SLOT + flip] ^= 4
    path.write_bytes(held)
    assert read_slots(path) == b"older, and whole" * 10
