"""A bundle is installed whole or not at all, and what runs afterwards is what was verified."""

import os
import sys
import time
from pathlib import Path

import pytest

from edge.bundle.canary import ask_canary
from edge.bundle.history import read_history
from edge.bundle.slots import ACTIVE, PREVIOUS
from edge.contract.bundle.bundle import Bundle
from edge.contract.bundle.keys import new_key_pair
from edge.contract.manifest import GOLDEN_OUTPUTS, Budget
from edge.vision.model.runtime import runtime_name
from tests.edge.bundle.device import PUBLIC, Device, golden_of_another
from tests.edge.capture.running import events, outcomes, start
from tests.harness.waiting import wait_until


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Device:
    return Device(tmp_path, tiny_bundle)


def test_a_good_bundle_becomes_the_active_one_and_only_two_are_kept(device: Device) -> None:
    for release in (1, 2, 5):
        assert device.install(device.make(release)) == 0
        assert device.active() == release
    previous = device.slots.target(PREVIOUS)
    assert previous is not None
    assert previous.name.startswith("000002-")
    assert len(list((device.state / "bundles/slots").iterdir())) == 2
    history = read_history(device.state)
    assert [entry.result for entry in history.entries] == ["installed"] * 3
    assert history.floors == {"test": 5}


def test_the_same_bundle_again_changes_nothing(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    path = device.make(3)
    assert [device.install(path), device.install(path)] == [0, 0]
    assert "active already" in capsys.readouterr().out


REFUSED = {
    "an unknown signature": (lambda d, b: d.make(9, key=new_key_pair()[0]), "none of 1 trusted keys"),
    "a lower release": (lambda d, b: d.make(1, notice="older"), "expected more than 4"),
    "the same release": (lambda d, b: d.make(4, notice="other content"), "expected more than 4"),
    "wrong golden outputs": (lambda d, b: d.make(9, files={GOLDEN_OUTPUTS: golden_of_another(b)}), "golden input 0"),
    "too slow": (lambda d, b: d.make(9, budget=Budget(invoke_ms=0.001, memory_mb=900)), "budget: one invocation"),
    "too large": (lambda d, b: d.make(9, budget=Budget(invoke_ms=1e4, memory_mb=1)), "MB of memory, at most 1"),
    "no network": (lambda d, b: d.make(9, files={"age.tflite": b"TFL3" * 100}), "cannot load it"),
    "for other devices": (
        lambda d, b: d.make(9, target_group="rats"),
        "target_group: the bundle is for 'rats', this device is in 'test', 'albino'",
    ),
    "a newer runtime": (
        lambda d, b: d.make(9, runtime_min="ai-edge-litert 99.1 / tflite-runtime 99"),
        f"runtime_min: the bundle needs ai-edge-litert 99.1 / tflite-runtime 99, this device has {runtime_name()}",
    ),
    "another preprocessing": (lambda d, b: d.make(9, preprocess_version="77"), "expected preprocessing version"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_bundle_changes_nothing_but_the_history(
    what: str, device: Device, tiny_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    make, reason = REFUSED[what]
    assert device.install(device.make(4)) == 0
    before = read_history(device.state)
    assert device.install(make(device, tiny_bundle)) == 3
    assert reason in capsys.readouterr().err
    assert device.active() == 4
    history = read_history(device.state)
    assert history.floors == before.floors
    assert history.entries[-1].result == "refused"
    assert reason in history.entries[-1].reason
    assert ".candidate" not in history.entries[-1].reason
    assert [path.name[:6] for path in (device.state / "bundles/slots").iterdir()] == ["000004"]


def test_a_person_goes_back_and_the_bad_one_stays_away(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = device.make(1, "good"), device.make(2, "bad")
    assert [device.install(good), device.install(bad)] == [0, 0]
    assert device.run("rollback") == 0
    assert device.active() == 1
    assert device.install(bad) == 3
    assert "was rolled back on this device" in capsys.readouterr().err
    assert device.install(device.make(3, notice="the old content, signed anew")) == 0
    assert device.run("status") == 0
    assert "went back from" in capsys.readouterr().out


def test_without_a_previous_bundle_there_is_no_way_back(device: Device) -> None:
    assert device.run("rollback") == 2


def test_a_settings_file_with_its_own_bundle_is_reported(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    text = device.settings.read_text().replace("bundle: {", "bundle: {path: /srv/x.bundle, ")
    device.settings.write_text(text)
    assert device.install(device.make(1)) == 2
    assert "remove bundle.path first" in capsys.readouterr().err


def test_a_damaged_history_installs_nothing(device: Device) -> None:
    assert device.install(device.make(7)) == 0
    (device.state / "bundles/history.json").write_text("{")
    assert device.install(device.make(8)) == 3
    assert device.active() == 7


def test_everything_leaves_the_inbox_whatever_it_is(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    inbox = device.state / "inbox"
    os.replace(device.make(1), inbox / "a.bundle")
    (inbox / "b.bundle").write_bytes(b"rubbish")
    os.mkfifo(inbox / "c.bundle")
    (inbox / "d.bundle").symlink_to("/etc/hostname")
    (inbox / "e.bundle").mkdir()
    (inbox / "not for us.txt").write_text("x")
    assert device.run("install", "--inbox") == 3
    assert sorted(path.name for path in inbox.iterdir()) == ["e.bundle.refused", "not for us.txt"]
    assert device.active() == 1
    assert [entry.result for entry in read_history(device.state).entries] == ["installed", *["refused"] * 4]


def test_a_name_that_is_no_text_does_not_stay_in_the_inbox(device: Device) -> None:
    inbox = device.state / "inbox"
    (inbox / os.fsdecode(b"\xff.bundle")).write_bytes(b"rubbish")
    (inbox / os.fsdecode(b"\xfe.bundle")).symlink_to("/etc/hostname")
    assert device.run("install", "--inbox") == 3
    assert list(inbox.iterdir()) == []
    assert {entry.file for entry in read_history(device.state).entries} == {"\\xff.bundle", "\\xfe.bundle"}


def test_a_file_that_still_grows_is_waited_for(device: Device) -> None:
    content = device.make(1).read_bytes()
    path = device.state / "inbox/slow.bundle"
    if (child := os.fork()) == 0:
        with path.open("wb", buffering=0) as file:
            for part in range(4):
                file.write(content[part * len(content) // 4 : (part + 1) * len(content) // 4])
                time.sleep(0.4)
        os._exit(0)
    while not path.exists():
        time.sleep(0.01)
    assert device.run("install", "--inbox") == 0
    os.waitpid(child, 0)
    assert device.active() == 1


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import time; time.sleep(3600)", "no verdict within 1 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("print('all is well')", "no verdict"),
        ("raise SystemExit(1)", "ended with code 1"),
    ],
    ids=["a model that hangs", "a model that crashes", "no verdict", "an error"],
)
def test_a_canary_that_fails_is_a_refusal(program: str, reason: str, tmp_path: Path) -> None:
    begin = time.monotonic()
    verdict = ask_canary(tmp_path, [PUBLIC], limit_s=1, command=[sys.executable, "-c", program])
    assert reason in verdict.problems[0]
    assert time.monotonic() - begin < 300


def test_capture_goes_over_to_the_new_bundle_without_a_restart(device: Device) -> None:
    assert device.install(device.make(1)) == 0
    process = start(device.settings)
    try:
        wait_until(lambda: len(outcomes(device.settings)) >= 2)
        assert device.install(device.make(2)) == 0
        wait_until(lambda: "model_changed" in events(device.settings))
    finally:
        code = process.stop()
    assert code == 0
    assert "model_fault" not in outcomes(device.settings)


def test_an_active_slot_that_was_damaged_leaves_the_one_before_it_at_work(device: Device) -> None:
    assert [device.install(device.make(1)), device.install(device.make(2))] == [0, 0]
    slot = device.slots.target(ACTIVE)
    assert slot is not None
    slot.write_bytes(b"\0" * 1000)
    process = start(device.settings, "--captures", "2")
    process.ended()
    assert events(device.settings).count("model_refused") == 1
    assert "model_fault" not in outcomes(device.settings)
