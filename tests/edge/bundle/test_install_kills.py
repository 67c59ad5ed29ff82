"""An installation that is killed between any two steps leaves a device that works and takes the same bundle again."""

import os
import signal
import sys
from functools import cache
from pathlib import Path

import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import read_history
from edge.bundle.install import Installer
from edge.config.load import load_config
from edge.config.tree import Config
from edge.contract.bundle.bundle import Bundle
from tests.edge.bundle.device import Device

STEPS = {"open", "write", "fsync", "fchmod", "rename", "replace", "unlink", "symlink", "mkdir", "close", "flush"}
ENOUGH = 1000


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Device:
    return Device(tmp_path, tiny_bundle)


@cache
def config_of(settings: Path) -> Config:
    return load_config(settings)


def put(device: Device, path: Path):
    with (
        Installer(config_of(device.settings), lambda _path, _keys: Verdict(problems=())) as installer,
        path.open("rb") as file,
    ):
        return installer.install(path.name, file.fileno())


def go_back(device: Device) -> None:
    with Installer(config_of(device.settings), lambda _path, _keys: Verdict(problems=())) as installer:
        installer.roll_back()


def killed_at(step: int, action, *arguments) -> bool:
    """Return whether a child process that acts was killed: right before its `step`-th call that touches a file."""
    if (child := os.fork()) == 0:
        left = step

        def count(_frame, event: str, called) -> None:
            nonlocal left
            if event == "c_call" and getattr(called, "__name__", "") in STEPS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        try:
            action(*arguments)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_the_same_bundle_is_taken_after_a_kill_at_any_step(device: Device) -> None:
    assert put(device, device.make(1, "first")).result == "installed"
    release = 2
    for step in range(1, ENOUGH):
        path = device.make(release, "next")
        killed = killed_at(step, put, device, path)
        now = device.active()
        assert now in (release - 1, release), f"step {step}: there is always a working one"
        entry = put(device, path)
        assert entry.result == ("active already" if now == release else "installed"), f"step {step}: {entry.reason}"
        assert device.active() == release
        history = read_history(device.state)
        assert history.floors == {"test": release}
        names = {file.name for file in (device.slots.folder / "slots").iterdir()}
        assert ".candidate" not in names
        assert len(names) <= 2
        if not killed:
            break
        release += 1
    assert 30 < step < ENOUGH


def test_a_way_back_that_is_killed_at_any_step_ends_at_one_of_the_two(device: Device) -> None:
    assert put(device, device.make(1, "good")).result == "installed"
    for step in range(1, ENOUGH):
        second = device.make(step + 1, "second")
        assert put(device, second).result == "installed"
        killed = killed_at(step, go_back, device)
        assert device.active() in (1, step + 1), f"step {step}"
        if device.active() != 1:
            go_back(device)
        assert device.active() == 1
        assert put(device, second).result == "refused", "what was gone back from stays away"
        if not killed:
            break
    assert 10 < step < ENOUGH
