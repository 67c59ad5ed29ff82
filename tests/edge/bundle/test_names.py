"""Devices named their bundles by the file's digest once; after the upgrade they know all of them again."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import History, read_history, write_history
from edge.bundle.install import Installer
from edge.bundle.slots import ACTIVE, PREVIOUS, write_durably
from edge.bundle.trial import FILE, Condemned, Pending, Trials, read_trials
from edge.capture.model import ModelSource
from edge.capture.status import read_status, write_status
from edge.config.load import load_config
from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, read_bundle
from tests.edge.bundle.device import PUBLIC, Device
from tests.edge.capture.running import records, run


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Device:
    return Device(tmp_path, tiny_bundle, ", trial_captures: 2, trial_minutes: 0")


def put(device: Device, path: Path):
    config = load_config(device.settings)
    with Installer(config, lambda _path, _keys: Verdict(problems=())) as installer, path.open("rb") as file:
        return installer.install(path.name, file.fileno())


def old_name(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def as_before_the_upgrade(device: Device, *files: Path, refused: tuple[Path, ...] = ()) -> None:
    """Rewrite what the device knows to the names that an earlier version gave; also its slots' names."""
    names = {read_bundle(path, [PUBLIC]).sha256: old_name(path) for path in (*files, *refused)}
    history = read_history(device.state)
    entries = tuple(msgspec.structs.replace(entry, sha256=names.get(entry.sha256 or "")) for entry in history.entries)
    older = History(floors=history.floors, entries=entries, refused=tuple(old_name(path) for path in refused))
    write_history(device.state, older)
    for link in (ACTIVE, PREVIOUS):
        slot = device.slots.target(link)
        if slot is not None:
            place = slot.rename(slot.with_name(f"{slot.name[:6]}-{old_name(slot)[:16]}.bundle"))
            (device.slots.folder / link).unlink()
            (device.slots.folder / link).symlink_to(f"slots/{place.name}")
    trials = read_trials(device.state)
    older_trials = Trials(
        good=tuple(names[one] for one in trials.good),
        pending=tuple(Pending(sha256=names[one.sha256], bad_ends=2) for one in trials.pending),
        reported_installs=trials.reported_installs,
    )
    write_durably(device.state / FILE, jsontext.encode(older_trials))
    status = read_status(device.state)
    if status is not None and status.model is not None:
        model = msgspec.structs.replace(status.model, sha256=names[status.model.sha256])
        write_status(device.state, msgspec.structs.replace(status, model=model))


def test_an_upgrade_is_no_change_of_the_model_and_says_which_name_is_which(device: Device) -> None:
    path = device.make(1)
    assert put(device, path).result == "installed"
    assert run(device.settings, "--stepped", "--captures", "3")[0] == 0
    present = read_bundle(path, [PUBLIC]).sha256
    assert read_trials(device.state).good == (present,)
    as_before_the_upgrade(device, path)
    for _ in range(2):
        assert run(device.settings, "--stepped", "--captures", "2")[0] == 0
    (event,) = [record for record in records(device.settings, "record") if record["code"] == "model_changed"]
    assert event["detail"] == {"before": old_name(path), "now": present, "same_model": True}
    assert {reading["model"]["sha256"] for reading in records(device.settings, "reading")} == {present}
    assert read_trials(device.state).good == (present,), "it has proved itself already"
    assert read_trials(device.state).pending == ()


def test_a_trial_goes_on_where_it_was(device: Device) -> None:
    path = device.make(1)
    put(device, path)
    source = ModelSource(load_config(device.settings))
    assert source.get() is not None
    as_before_the_upgrade(device, path)
    source = ModelSource(load_config(device.settings))
    model = source.get()
    assert model is not None
    assert source.trial.state.of(model.sha256).bad_ends == 2
    with pytest.raises(RuntimeError), source.at_work():
        raise RuntimeError("the third bad end")
    assert source.trial.state.reason(model.sha256) is not None


def test_what_was_refused_stays_refused_also_without_its_file(device: Device) -> None:
    good, bad = device.make(1, "good"), device.make(2, "bad")
    put(device, good)
    as_before_the_upgrade(device, good, refused=(bad,))
    entry = put(device, bad)
    assert (entry.result, device.active()) == ("refused", 1)
    assert "was rolled back on this device" in entry.reason


def test_what_was_refused_and_is_still_there_is_refused_by_its_present_name_too(device: Device) -> None:
    good, bad = device.make(1, "good"), device.make(2, "bad")
    assert [put(device, path).result for path in (good, bad)] == ["installed"] * 2
    assert device.run("rollback") == 0
    as_before_the_upgrade(device, good, refused=(bad,))
    before = read_history(device.state)
    assert before.renamed == {}
    put(device, good)
    history = read_history(device.state)
    present = read_bundle(bad, [PUBLIC]).sha256
    assert set(history.refused) == {old_name(bad), present}
    assert history.renamed[old_name(bad)] == present


def test_a_verdict_of_an_earlier_version_is_carried_out(device: Device) -> None:
    good, bad = device.make(1, "good"), device.make(2, "bad")
    for path in (good, bad):
        put(device, path)
    as_before_the_upgrade(device, good, bad)
    condemned = Condemned(sha256=old_name(bad), reason="it crashed", reported=True)
    write_durably(device.state / FILE, jsontext.encode(Trials(good=(old_name(good),), condemned=(condemned,))))
    with Installer(load_config(device.settings)) as installer:
        installer.settle()
    assert device.active() == 1
    assert put(device, bad).result == "refused"
