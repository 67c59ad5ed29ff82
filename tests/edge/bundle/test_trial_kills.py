"""Real capture processes, killed with signal 9 while a new model is on trial."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge.bundle.slots import PREVIOUS, write_durably
from edge.bundle.trial import BAD_ENDS, FILE, Trials, read_trials
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, read_bundle
from edge.contract.manifest import GOLDEN_OUTPUTS
from tests.edge.bundle.device import PUBLIC, Device, golden_of_another
from tests.edge.capture.running import outcomes, records, run, start
from tests.harness.child import Child
from tests.harness.waiting import wait_until

SHORT, LONG = "trial_captures: 5,", "trial_captures: 500,"
SEED = int(os.environ.get("CAGECLOCK_KILL_SEED", "20261121"))


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Device:
    """A device whose first model has proved itself."""
    device = Device(tmp_path, tiny_bundle, f", {SHORT} trial_minutes: 0")
    assert device.install(device.make(1, "first")) == 0
    assert run(device.settings, "--stepped", "--captures", "5")[0] == 0
    assert read_trials(device.state).good == (digest(device.folder / "first.bundle"),)
    device.settings.write_text(device.settings.read_text().replace(SHORT, LONG))
    return device


def test_kills_at_random_moments_count_only_while_the_model_works(device: Device) -> None:
    chance, sha256, counted, at_work = random.Random(SEED), install_second(device), 0, False
    for _ in range(12):
        process = start(device.settings, "--stepped")
        before = read_trials(device.state)
        wait_for(lambda before=before: progressed(device, before, sha256), process)
        time.sleep(chance.uniform(0, 0.1))
        at_work = kill(process, device, sha256)
        state = read_trials(device.state)
        if state.pending:
            assert state.of(sha256).bad_ends == counted
        counted += at_work
        if not state.pending or counted == BAD_ENDS:
            break
    assert run(device.settings, "--stepped", "--captures", "2")[0] == 0
    state = read_trials(device.state)
    assert (state.reason(sha256) is not None) == (counted == BAD_ENDS)
    if sha256 not in state.good and counted < BAD_ENDS:
        assert state.of(sha256).bad_ends == counted
    assert "model_fault" not in outcomes(device.settings)


def test_a_model_that_ends_capture_each_time_gives_way_and_stays_away(
    device: Device, capsys: pytest.CaptureFixture[str]
) -> None:
    sha256 = install_second(device)
    for count in range(BAD_ENDS):
        for _ in range(50):
            process = start(device.settings, "--stepped")
            before = read_trials(device.state)
            wait_for(lambda before=before: progressed(device, before, sha256), process)
            wait_for(lambda: read_trials(device.state).of(sha256).begun, process)
            if kill(process, device, sha256):
                break
        assert read_trials(device.state).of(sha256).bad_ends == count
    assert run(device.settings, "--stepped", "--captures", "3")[0] == 0
    first = digest(device.folder / "first.bundle")
    readings = records(device.settings, "reading")
    assert [reading["model"]["sha256"] for reading in readings[-3:]] == [first] * 3
    (event,) = reported(device, "bundle_rolled_back")
    assert event["detail"]["sha256"] == sha256
    assert f"{BAD_ENDS} times" in event["detail"]["reason"]

    capsys.readouterr()
    assert device.run("status") == 0
    output = capsys.readouterr().out
    assert "CONDEMNED" in output
    assert f"bundle_rolled_back: {event['detail']['reason']}" in output
    assert device.install(device.folder / "second.bundle") == 3
    assert device.active() == 1
    assert device.slots.target(PREVIOUS) is None
    assert run(device.settings, "--stepped", "--captures", "3")[0] == 0
    assert len(reported(device, "bundle_rolled_back")) == 1, "reported once, whoever carried it out"
    assert [event["detail"]["number"] for event in reported(device, "bundle_refused")] == [4]
    assert "model_fault" not in outcomes(device.settings)


def test_what_was_installed_and_refused_is_reported_once(device: Device) -> None:
    (device.state / "inbox/rubbish.bundle").write_bytes(b"rubbish")
    assert device.run("install", "--inbox") == 3
    sha256 = install_second(device)
    for _ in range(2):
        assert run(device.settings, "--stepped", "--captures", "2")[0] == 0
    first, second = reported(device, "bundle_installed")
    assert [first["detail"]["release"], second["detail"]["release"]] == [1, 2]
    assert second["detail"]["sha256"] == sha256
    (refused,) = reported(device, "bundle_refused")
    assert refused["detail"]["file"] == "rubbish.bundle"
    assert "rubbish.bundle, was refused: " in refused["text"]
    state = read_trials(device.state)
    assert state.reported_installs == 3
    # As after a kill between an event and its note.
    write_durably(device.state / FILE, jsontext.encode(msgspec.structs.replace(state, reported_installs=1)))
    assert run(device.settings, "--stepped", "--captures", "1")[0] == 0
    assert [len(reported(device, code)) for code in ("bundle_installed", "bundle_refused")] == [2, 1]
    assert read_trials(device.state).reported_installs == 3


def test_a_wrong_golden_output_on_the_device_gives_way_at_once(device: Device, tiny_bundle: Bundle) -> None:
    """A canary that met the outputs (on another runtime, say) is made by putting the file in its slot by hand."""
    path = device.make(2, "wrong", files={GOLDEN_OUTPUTS: golden_of_another(tiny_bundle)})
    with path.open("rb") as file:
        candidate = device.slots.copy_in(file.fileno())
    device.slots.activate(device.slots.keep(candidate, read_bundle(candidate, [PUBLIC])))
    assert run(device.settings, "--stepped", "--captures", "2")[0] == 0
    assert "model_fault" not in outcomes(device.settings)
    assert "golden input 0" in (read_trials(device.state).reason(digest(path)) or "")
    (event,) = reported(device, "bundle_rolled_back")
    assert "golden input 0" in event["text"]


def install_second(device: Device) -> str:
    path = device.make(2, "second")
    assert device.install(path) == 0
    return digest(path)


def digest(path: Path) -> str:
    return read_bundle(path, [PUBLIC]).sha256


def reported(device: Device, code: str) -> list[dict]:
    return [record for record in records(device.settings, "record") if record.get("code") == code]


def progressed(device: Device, before: Trials, sha256: str) -> bool:
    now = read_trials(device.state)
    return now.of(sha256).captures > before.of(sha256).captures or now.reason(sha256) is not None


def kill(process: Child, device: Device, sha256: str) -> bool:
    """Kill the process and return whether it was at work with the model."""
    process.kill()
    return read_trials(device.state).of(sha256).begun


def wait_for(condition: Callable[[], object], process: Child) -> None:
    """Return the moment the condition holds; fail where the process ends first."""
    wait_until(lambda: condition() or process.exit_code() is not None, pause_s=0.0005)
    assert condition(), process.report()
