"""A stick with a bundle: carried over, its result beside it in words, removed only after a durable result."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.bundle.canary import Verdict
from edge.bundle.card import RESULT, carry
from edge.bundle.history import read_history
from edge.bundle.inbox import Inbox
from edge.bundle.install import Installer
from edge.config.load import load_config
from edge.contract.bundle.bundle import Bundle
from edge.errors import DeviceError, OperatorError
from tests.edge.bundle.device import Device


class Stick:
    """A device, a folder as of a stick, and the bundle unit, which takes its turn while the card waits."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.device = Device(folder, bundle)
        self.folder = folder / "stick"
        self.folder.mkdir()
        self.config = load_config(self.device.settings)
        self.passes, self.works = True, True

    def unit(self) -> None:
        verdict = Verdict(problems=() if self.passes else ("budget: too slow",))
        if self.works:
            config = self.config
            Inbox(lambda: config, lambda one: Installer(one, lambda _path, _keys: verdict), limit_s=20).run()

    def put(self, path: Path, name: str = "lab.bundle") -> Path:
        target = self.folder / name
        target.write_bytes(path.read_bytes())
        return target

    def carry(self, wait_s: float = 60.0) -> int:
        return carry(self.config, self.folder, wait_s=wait_s, pause=self.unit)

    def said(self, name: str = "lab.bundle") -> str:
        return (self.folder / f"{name}{RESULT}").read_text()


@pytest.fixture
def stick(tmp_path: Path, tiny_bundle: Bundle) -> Stick:
    return Stick(tmp_path, tiny_bundle)


def test_a_bundle_on_a_stick_is_installed_and_its_result_can_be_read(stick: Stick) -> None:
    path = stick.put(stick.device.make(4))
    assert stick.carry() == 0
    assert stick.device.active() == 4
    assert not path.exists()
    assert "It is installed" in stick.said()
    assert stick.carry() == 0  # the result is no bundle


def test_a_refused_one_says_why_and_is_removed(stick: Stick) -> None:
    stick.passes = False
    path = stick.put(stick.device.make(4))
    assert stick.carry() == 1
    assert "REFUSED" in stick.said()
    assert "budget: too slow" in stick.said()
    assert not path.exists()


def test_without_a_durable_result_the_file_stays(stick: Stick) -> None:
    stick.works = False
    path = stick.put(stick.device.make(4))
    assert stick.carry(wait_s=0.2) == 0
    assert path.exists()
    assert "has not taken it" in stick.said()
    stick.works = True
    assert stick.carry() == 0
    assert not path.exists()
    assert "It is installed" in stick.said()
    assert [one.result for one in read_history(stick.device.state).entries] == ["installed"]


def test_a_result_that_cannot_be_written_keeps_the_file(stick: Stick) -> None:
    path = stick.put(stick.device.make(4))
    (stick.folder / "lab.bundle.new.txt").mkdir()
    assert stick.carry() == 0
    assert stick.device.active() == 4
    assert path.exists()
    # A stick that can only be read starts nothing over and over.
    assert stick.carry() == 0
    assert len(read_history(stick.device.state).entries) == 1
    path.write_bytes(stick.device.make(5).read_bytes())
    assert stick.carry() == 0
    assert stick.device.active() == 5


def test_links_pipes_and_large_files_are_not_followed(stick: Stick, tmp_path: Path) -> None:
    (tmp_path / "secret.bundle").write_bytes(stick.device.make(4).read_bytes())
    (stick.folder / "link.bundle").symlink_to(tmp_path / "secret.bundle")
    os.mkfifo(stick.folder / "pipe.bundle")
    with (stick.folder / "large.bundle").open("wb") as file:
        file.truncate(64_000_001)
    (stick.folder / "._lab.bundle").write_bytes(b"a Mac's")
    assert stick.carry() == 0
    assert stick.device.active() == 0
    assert "no ordinary file" in stick.said("pipe.bundle")
    assert "64000001 bytes" in stick.said("large.bundle")
    assert (stick.folder / "large.bundle").exists()


def test_a_stick_with_a_candidate_for_the_shadow(stick: Stick, capsys: pytest.CaptureFixture[str]) -> None:
    stick.put(stick.device.make(4), "lab.shadow-2h.bundle")
    assert stick.carry() == 0
    assert "runs beside the active model" in stick.said("lab.shadow-2h.bundle")
    assert stick.device.active() == 0
    assert stick.device.run("status") == 0
    assert "release 4 of test: 0.0 of 2 hours, 0 captures" in capsys.readouterr().out


def test_no_folder_is_one_clear_error(stick: Stick) -> None:
    with pytest.raises(OperatorError, match="no such folder"):
        carry(stick.config, stick.folder / "gone")


def test_an_exception_that_nobody_foresaw_costs_its_file_and_stands_beside_it(
    stick: Stick, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("a.bundle", "b.bundle"), 1):
        stick.put(stick.device.make(number), name)
    tried = []

    def pause() -> None:
        tried.append(1)
        if len(tried) == 1:
            raise KeyError("nobody thought of it")
        stick.unit()

    with pytest.raises(DeviceError, match=r"a\.bundle: bundle card met an unexpected KeyError"):
        carry(stick.config, stick.folder, pause=pause)
    assert "It is tried again" in (stick.folder / f"a.bundle{RESULT}").read_text()
    assert "It is installed" in (stick.folder / f"b.bundle{RESULT}").read_text()
    assert (stick.folder / "a.bundle").exists()
    assert "Traceback" in capsys.readouterr().err
