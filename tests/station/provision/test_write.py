"""A plan comes onto a card whole, or the card starts nothing; what it gives back is compared with what was written."""

from pathlib import Path

import pytest

from edge.errors import DeviceError
from station.provision.authority import Authority
from station.provision.fleet import Device
from station.provision.generation import find_generation
from station.provision.lab import load_lab
from station.provision.partition import MountedPartition
from station.provision.plan import Lookup, Plan, make_plan
from station.provision.write import apply
from tests.station.provision import cards

pytestmark = pytest.mark.slow


class WornOut(MountedPartition):
    """A card with a bad place: one file comes back with another last byte."""

    def __init__(self, folder: Path, bad: str) -> None:
        super().__init__(folder)
        self.bad = bad

    def write(self, path: str, content: bytes) -> None:
        super().write(path, content[:-1] + b"?" if path == self.bad else content)


class PulledOut(MountedPartition):
    """A card that is taken out before the file of a number is written."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self.left = after

    def write(self, path: str, content: bytes) -> None:
        if self.left == 0:
            raise DeviceError(f"{path}: Input/output error")
        self.left -= 1
        super().write(path, content)


def plan_of(tmp_path: Path, card: MountedPartition) -> Plan:
    lab = load_lab(cards.lab(tmp_path / "lab"))
    folder = tmp_path / "lab"
    credentials = Authority(folder / "authority").credentials_of("cage-07")
    return make_plan(Lookup(lab, folder), Device("cage-07"), credentials, find_generation(card), card)


@pytest.mark.parametrize("bad", ["cmdline.txt", "cageclock/ca.pem"])
def test_a_card_that_gives_back_something_else_is_named(tmp_path: Path, bad: str) -> None:
    card = WornOut(cards.mounted(tmp_path / "boot", cards.trixie()), bad)
    with pytest.raises(DeviceError, match=rf"1 files are not what was written, first {bad}: the card"):
        apply(plan_of(tmp_path, card), card, dry_run=False)


@pytest.mark.parametrize("files", [cards.trixie(), cards.bookworm()], ids=["cloud-init", "first run"])
def test_a_card_that_is_pulled_out_early_starts_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    """Whatever the number of files that came through: without the last one the system boots as it was flashed."""
    whole = MountedPartition(cards.mounted(tmp_path / "whole", files))
    plan = plan_of(tmp_path, whole)
    count = len(plan.files)
    assert list(plan.files)[-1] == "cmdline.txt"
    for after in (0, count // 2, count - 1):
        card = PulledOut(cards.mounted(tmp_path / f"after-{after}", files), after)
        with pytest.raises(DeviceError):
            apply(plan, card, dry_run=False)
        assert (card.folder / "cmdline.txt").read_text() == files["cmdline.txt"]
        assert not list(card.folder.rglob("*.new"))
        again = MountedPartition(card.folder)
        apply(plan, again, dry_run=False)
        assert all(again.read(path) == content for path, content in plan.files.items()), "a second try makes it good"
