"""A device keeps to one channel, whose releases rise by measure; and there is a way back, whatever became of it."""

import os
from pathlib import Path

import msgspec
import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import History, read_history, write_history
from edge.bundle.install import Installer
from edge.bundle.rules import MOST_AHEAD, MOST_FIRST
from edge.bundle.slots import ACTIVE, PREVIOUS
from edge.config.load import load_config
from edge.contract.bundle.bundle import Bundle
from edge.contract.bundle.keys import new_key_pair
from tests.edge.bundle.device import PUBLIC, Device


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Device:
    return Device(tmp_path, tiny_bundle)


def keep_to(device: Device, channel: str | None) -> None:
    """Write the channel into the settings, or take it out again."""
    text = device.settings.read_text().replace("channel: own, ", "").replace("channel: dev, ", "")
    device.settings.write_text(
        text if channel is None else text.replace("bundle: {", f"bundle: {{channel: {channel}, ")
    )


def install(device: Device, path: Path) -> int:
    """Install without a canary, which is slow and not what is asked here; return the exit code."""
    config = load_config(device.settings)
    with Installer(config, lambda _path, _keys: Verdict(problems=())) as installer, path.open("rb") as file:
        return 3 if installer.install(path.name, file.fileno()).result == "refused" else 0


def last_reason(device: Device) -> str:
    return read_history(device.state).entries[-1].reason


def test_another_channels_bundle_is_refused_until_the_settings_name_it(device: Device) -> None:
    own, dev = device.make(8, "own", channel="own"), device.make(1, "dev", channel="dev")
    assert [install(device, own), install(device, dev)] == [0, 3]
    assert device.active() == 8
    assert "this device keeps to 'own', as its earlier bundles did; the bundle is of 'dev'" in last_reason(device)
    keep_to(device, "dev")
    assert [install(device, dev), install(device, device.make(9, "own9", channel="own"))] == [0, 3]
    assert "keeps to 'dev', by bundle.channel in the settings" in last_reason(device)
    keep_to(device, None)
    assert install(device, device.make(10, "own10", channel="own")) == 3
    assert device.active() == 1
    assert read_history(device.state).channel == "dev"


def test_a_new_device_with_a_channel_in_its_settings_takes_no_other(device: Device) -> None:
    keep_to(device, "own")
    assert install(device, device.make(1, channel="dev")) == 3
    assert install(device, device.make(1, channel="own")) == 0


@pytest.mark.parametrize("known_by", ["the active bundle", "the entries"])
def test_a_history_of_an_earlier_version_keeps_to_the_channel_it_was_on(known_by: str, device: Device) -> None:
    assert install(device, device.make(8, channel="own")) == 0
    history = read_history(device.state)
    older = History(floors=history.floors, entries=() if known_by == "the active bundle" else history.entries)
    write_history(device.state, older)
    if known_by == "the entries":
        device.slots.target(ACTIVE).write_bytes(b"\0" * 1000)
    assert install(device, device.make(1, channel="dev")) == 3
    assert "keeps to 'own'" in last_reason(device)
    assert install(device, device.make(9, channel="own")) == 0


@pytest.mark.parametrize("before", [0, 8])
@pytest.mark.parametrize("how_far", ["a little too far", "2^53-1", "2^63-1"])
def test_a_release_far_ahead_is_refused_and_the_next_one_is_not(before: int, how_far: str, device: Device) -> None:
    if before:
        assert install(device, device.make(before)) == 0
    most = before + MOST_AHEAD if before else MOST_FIRST
    far = {"a little too far": most + 1, "2^53-1": 2**53 - 1, "2^63-1": 2**63 - 1}[how_far]
    assert install(device, device.make(far)) == 3
    assert "release" in last_reason(device)
    assert read_history(device.state).floors.get("test", 0) == before
    assert install(device, device.make(before + 1)) == 0


def test_the_furthest_release_that_is_allowed_is_installed(device: Device) -> None:
    assert install(device, device.make(20261231)) == 0
    assert install(device, device.make(20270101)) == 0
    assert install(device, device.make(20270101 + MOST_AHEAD)) == 0


def test_a_channel_that_was_used_up_is_opened_by_hand_and_that_is_noted(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install(device, device.make(8)) == 0
    used_up = msgspec.structs.replace(read_history(device.state), floors={"test": 2**63 - 1})
    write_history(device.state, used_up)
    assert install(device, device.make(9)) == 3
    assert "cageclock bundle reset-floor" in last_reason(device)
    assert device.run("reset-floor", "test", "8", "--reason", "somebody signed 2^63-1") == 0
    assert "above release 8 now: it was 9223372036854775807; somebody signed 2^63-1" in capsys.readouterr().out
    entry = read_history(device.state).entries[-1]
    assert (entry.result, entry.channel, entry.release) == ("floor reset", "test", 8)
    assert [install(device, device.make(8, "other", notice="x")), install(device, device.make(9))] == [3, 0]
    assert device.run("status") == 0
    assert "channel   test: the highest release was 9 (the device keeps to it)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [("test", "-1", "--reason", "x"), ("test", "1" * 16, "--reason", "x"), ("test", "3")]
)
def test_a_floor_is_set_to_a_number_and_for_a_reason(arguments: tuple[str, ...], device: Device) -> None:
    with pytest.raises(SystemExit):
        device.run("reset-floor", *arguments)


BROKEN = {
    "damaged": lambda d, slot: slot.write_bytes(b"\0" * 1000),
    "cut short": lambda d, slot: os.truncate(slot, 20_000),
    "gone": lambda d, slot: slot.unlink(),
    "signed by a key that is trusted no longer": lambda d, slot: None,
}


@pytest.mark.parametrize("what", BROKEN)
def test_there_is_a_way_back_from_a_bundle_that_cannot_be_read_or_trusted(what: str, device: Device) -> None:
    private, public = new_key_pair()
    (device.folder / "second.pub").write_bytes(public)
    one_key = device.settings.read_text()
    device.settings.write_text(one_key.replace("lab.pub]", f"lab.pub, {device.folder / 'second.pub'}]"))
    bad = device.make(2, "bad", key=private)
    assert [install(device, device.make(1, "good")), install(device, bad)] == [0, 0]
    second = read_history(device.state).entries[-1].sha256
    BROKEN[what](device, device.slots.target(ACTIVE))
    if what.startswith("signed"):
        device.settings.write_text(one_key)
    assert device.run("rollback") == 0
    assert device.active() == 1
    assert device.slots.target(PREVIOUS) is None, "there is nothing to come back to"
    history = read_history(device.state)
    assert history.entries[-1].result == "rolled back"
    if what != "gone":
        assert history.refused == (second,)
        (device.folder / "lab.pub").write_bytes(PUBLIC + public)
        assert install(device, bad) == 3
    assert install(device, device.make(3)) == 0
