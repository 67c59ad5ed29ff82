"""What a device does with trust statements: it keeps the newest, obeys it, and says which rule refused a bundle."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from edge.bundle.canary import Verdict
from edge.bundle.history import Entry, read_history
from edge.bundle.install import Installer
from edge.bundle.selected import ACTIVE, read
from edge.bundle.slots import PREVIOUS, Slots
from edge.config.load import load_config
from edge.contract.bundle.bundle import Bundle, read_unverified
from edge.contract.bundle.statement import Floor
from edge.contract.bundle.trust import begin
from edge.errors import BundleError, BundleRevoked, ConfigError, OperatorError
from edge.timing.clock import SteppedClock
from tests.edge.bundle.device import PRIVATE, PUBLIC
from tests.edge.bundle.test_install_kills import ENOUGH, killed_at
from tests.edge.capture.running import write_settings
from tests.edge.contract.bundle.signers import MONDAY, bundle_of, chain, person, role, signed, statement


class UnsetClock(SteppedClock):
    """A clock that nobody has set since the start."""

    def synced(self) -> bool:
        return False


class Device:
    """A device of channel `study` that was given the lab's first trust statement."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.folder, self._bundle = folder, bundle
        self.clock = SteppedClock(MONDAY + timedelta(days=1))
        (folder / "given.json").write_bytes(chain())
        (folder / "lab.pub").write_bytes(PUBLIC)
        self.settings = write_settings(
            folder, more=f"bundle: {{trust: {folder / 'given.json'}, channel: study, target_groups: [test]}}\n"
        )
        self.state = folder / "state"
        self.slots = Slots(self.state)

    @property
    def config(self):
        return load_config(self.settings)

    def put(self, content: bytes, name: str = "some.bundle") -> Entry:
        path = self.folder / name
        path.write_bytes(content)
        with (
            Installer(self.config, lambda _path, _keys: Verdict(problems=()), self.clock) as installer,
            path.open("rb") as file,
        ):
            return installer.install(name, file.fileno())

    def bundle(self, release: int = 1, *names: str, **changes) -> bytes:
        return bundle_of(self._bundle, *(names or ("dora", "emil")), release=release, **changes)

    def refusal(self, content: bytes) -> str:
        entry = self.put(content)
        assert entry.result == "refused", entry
        return entry.reason

    def active(self) -> int:
        slot = self.slots.target("active.bundle")
        return 0 if slot is None else read_unverified(slot).manifest.release

    def held(self) -> int:
        path = self.state / "bundles/trust.json"
        return begin(path.read_bytes()).newest.version if path.exists() else 0


@pytest.fixture
def device(tmp_path: Path, tiny_bundle: Bundle) -> Device:
    return Device(tmp_path, tiny_bundle)


def test_a_bundle_of_the_channel_with_enough_signatures_is_installed(device: Device) -> None:
    assert device.put(device.bundle(1)).result == "installed"
    assert read(device.config, device.state / ACTIVE).manifest.release == 1


REFUSALS = {
    "forged signature": (("mallory", "mallet"), {}, "signature: channel 'study' takes 2 of its keys, got none"),
    "one key of two": (("dora",), {}, "threshold: channel 'study' takes 2 of its keys, got dora"),
    "other channel": (("gina",), {"channel": "dev"}, "channel: it is signed for channel 'dev', this device keeps to"),
    "other channel in the manifest": (("dora", "emil"), {"channel": "dev"}, "channel: this device keeps to 'study'"),
    "fast-forward": (("dora", "emil"), {"release": 2**53 - 1}, "release: expected at most"),
    "wrong target": (("dora", "emil"), {"target_group": "rats"}, "target_group: the bundle is for 'rats'"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_an_attack_is_refused_by_the_name_of_its_rule(what: str, device: Device, tiny_bundle: Bundle) -> None:
    names, changes, reason = REFUSALS[what]
    assert device.refusal(bundle_of(tiny_bundle, *names, **changes)).startswith(reason)
    assert device.active() == 0


def test_an_older_release_is_refused(device: Device) -> None:
    assert device.put(device.bundle(5)).result == "installed"
    assert device.refusal(device.bundle(4)).startswith("release: expected more than 5")


def test_a_release_below_the_statements_floor_is_refused(device: Device) -> None:
    two = chain(signed(statement()), signed(statement(2, floors={"study": Floor(release=7)})))
    assert "release: trust statement 2 lets in 7 or more" in device.refusal(device.bundle(6, trust=two))
    assert device.put(device.bundle(7)).result == "installed"


def test_a_used_up_channel_is_opened_by_a_statement_once(device: Device) -> None:
    assert device.put(device.bundle(999_999_999)).result == "installed"
    reset = signed(statement(2, floors={"study": Floor(release=10, reset=True)}))
    assert device.put(device.bundle(10, trust=chain(signed(statement()), reset))).result == "installed"
    assert device.put(device.bundle(11)).result == "installed"
    assert device.refusal(device.bundle(10)).startswith("release: expected more than 11"), "the reset is done once"


def test_a_statement_travels_in_a_bundle_or_by_itself_and_is_kept_though_the_bundle_is_refused(device: Device) -> None:
    second, third = signed(statement(2)), signed(statement(3))
    assert device.refusal(device.bundle(1, "dora", trust=chain(signed(statement()), second))).startswith("threshold: ")
    assert device.held() == 2
    whole = chain(signed(statement()), second, third)
    assert device.put(whole, "lab.trust.json").result == "installed"
    assert device.held() == 3
    assert device.put(whole).result == "active already"
    assert [entry.result for entry in read_history(device.state).entries].count("trust updated") == 3


def test_a_lower_version_is_refused_also_after_what_was_held_is_gone(device: Device) -> None:
    assert device.put(chain(signed(statement()), signed(statement(2)))).result == "installed"
    assert "lower version: version 2 is held" in device.refusal(chain())
    (device.state / "bundles/trust.json").unlink()
    with pytest.raises(BundleError, match="lower version: expected 2 or more, which was in force"):
        device.put(device.bundle(1))
    (device.state / "bundles/trust.json").write_bytes(b"\0" * 99)
    with pytest.raises(BundleError, match="move it aside to begin again"):
        device.put(device.bundle(1))


def test_a_revoked_key_is_named_and_what_it_signed_before_goes_on(device: Device) -> None:
    assert device.put(device.bundle(1)).result == "installed"
    revoked = signed(statement(2, revoked_keys=(person("emil").key.id,)))
    reason = device.refusal(device.bundle(2, trust=chain(signed(statement()), revoked)))
    assert reason.startswith("revoked key: emil")
    assert (device.active(), read(device.config, device.state / ACTIVE).manifest.release) == (1, 1)
    assert device.put(device.bundle(2, "dora", "fritz")).result == "installed"


def test_a_revoked_bundle_is_refused_and_given_up_where_it_runs(device: Device, tmp_path: Path) -> None:
    assert [device.put(device.bundle(release)).result for release in (1, 2)] == ["installed"] * 2
    bad = read_unverified(device.slots.target("active.bundle"))
    revoked = signed(statement(2, revoked_bundles=(bad.sha256,)))
    assert device.put(chain(signed(statement()), revoked)).result == "installed"
    assert (device.active(), device.slots.target(PREVIOUS)) == (1, None)
    entry = next(entry for entry in read_history(device.state).entries if entry.result == "rolled back")
    assert (entry.left, entry.release) == (bad.sha256, 1)
    assert "revoked bundle: trust statement 2 revokes" in device.refusal(device.bundle(2))


def test_a_revoked_bundle_without_one_before_it_is_not_run(device: Device) -> None:
    assert device.put(device.bundle(1)).result == "installed"
    bad = read_unverified(device.slots.target("active.bundle"))
    revoked = chain(signed(statement()), signed(statement(2, revoked_bundles=(bad.sha256,))))
    assert device.put(revoked).result == "installed"
    assert "no age is estimated" in read_history(device.state).entries[-2].reason
    with pytest.raises(BundleRevoked):
        read(device.config, device.state / ACTIVE)
    assert device.put(device.bundle(2)).result == "installed"


def test_capture_lets_go_of_a_revoked_model_that_it_has_in_memory(device: Device) -> None:
    from edge.capture.model import ModelSource

    assert device.put(device.bundle(1)).result == "installed"
    source = ModelSource(device.config)
    assert source.get() is not None, source.problem
    bad = read_unverified(device.slots.target("active.bundle"))
    device.put(chain(signed(statement()), signed(statement(2, revoked_bundles=(bad.sha256,)))))
    assert source.get() is None
    assert "revoked bundle" in str(source.problem)


def test_an_expired_statement_stops_installs_never_estimates(device: Device) -> None:
    assert device.put(device.bundle(1)).result == "installed"
    device.clock = SteppedClock(MONDAY + timedelta(days=366))
    assert device.refusal(device.bundle(2)).startswith("expired: trust statement 1 held until 2027-03-02")
    assert read(device.config, device.state / ACTIVE).manifest.release == 1
    later = signed(statement(2, created_at=MONDAY + timedelta(days=366), expires_at=MONDAY + timedelta(days=700)))
    assert device.put(device.bundle(2, trust=chain(signed(statement()), later))).result == "installed"


def test_a_clock_of_1970_is_not_believed_and_that_is_said(device: Device) -> None:
    device.clock = UnsetClock(datetime(1970, 1, 1, tzinfo=UTC))
    entry = device.put(device.bundle(1))
    assert entry.result == "installed"
    assert "judged by 2026-03-02T09:00:00+00:00, the last trusted time: the clock is not set" in entry.reason
    device.clock = SteppedClock(MONDAY + timedelta(days=366))
    assert device.refusal(device.bundle(2)).startswith("expired")
    device.clock = UnsetClock(datetime(1970, 1, 1, tzinfo=UTC))
    reason = device.refusal(device.bundle(2))
    assert reason.startswith("expired"), "what was known of the time before is not forgotten"
    assert "judged by 2027-03-0" in reason


def test_a_clock_that_ran_wild_does_not_shut_out_later_statements(device: Device) -> None:
    device.clock = SteppedClock(datetime(2099, 1, 1, tzinfo=UTC))
    assert device.refusal(device.bundle(1)).startswith("expired")
    device.clock = SteppedClock(MONDAY + timedelta(days=2))
    later = signed(statement(2, expires_at=MONDAY + timedelta(days=400)))
    assert device.put(device.bundle(1, trust=chain(signed(statement()), later))).result == "installed"


def test_a_kill_at_any_step_leaves_one_statement_or_the_other_and_obeys_it(device: Device) -> None:
    """Between keeping a statement and obeying it, too: its floor reset is carried out by the next run.

    Every third step; all of them held when they were tried once.
    """
    assert device.put(device.bundle(999_999)).result == "installed"
    shutil.copytree(device.state, device.folder / "before", symlinks=True)
    second = chain(signed(statement()), signed(statement(2, floors={"study": Floor(release=50, reset=True)})))
    between = 0
    for step in range(1, ENOUGH, 3):
        shutil.rmtree(device.state)
        shutil.copytree(device.folder / "before", device.state, symlinks=True)
        killed = killed_at(step, device.put, second)
        assert device.held() in (0, 2), f"step {step}"
        assert device.active() == 999_999
        between += device.held() == 2 and read_history(device.state).trust_version == 1
        entry = device.put(second)
        assert entry.result in ("installed", "active already"), f"step {step}: {entry.reason}"
        history = read_history(device.state)
        assert (history.trust_version, history.floors["study"]) == (2, 49), f"step {step}"
        if not killed:
            break
    assert between > 0, "the kill between the two was among them"
    assert 10 < step < ENOUGH


def test_settings_that_change_over_from_a_single_key_keep_the_camera_measuring(device: Device, tmp_path: Path) -> None:
    from edge.contract.bundle.bundle import write_bundle

    text = device.settings.read_text()
    device.settings.write_text(
        text.replace(f"trust: {tmp_path / 'given.json'}", f"trusted_keys: [{tmp_path / 'lab.pub'}]")
    )
    tiny = device._bundle
    write_bundle(tmp_path / "old.bundle", msgspec.structs.replace(tiny.manifest, channel="study"), tiny.files, PRIVATE)
    assert device.put((tmp_path / "old.bundle").read_bytes()).result == "installed"
    device.settings.write_text(text.replace("channel:", f"trusted_keys: [{tmp_path / 'lab.pub'}], channel:"))
    assert read(device.config, device.state / ACTIVE).manifest.release == 1
    write_bundle(
        tmp_path / "b", msgspec.structs.replace(tiny.manifest, channel="study", release=2), tiny.files, PRIVATE
    )
    assert device.refusal((tmp_path / "b").read_bytes()).startswith("signature: ")
    assert device.put(device.bundle(2)).result == "installed"


def test_the_settings_bind_a_channel_and_one_labs_roots(device: Device) -> None:
    text = device.settings.read_text()
    device.settings.write_text(text.replace("channel: study, ", ""))
    with pytest.raises(ConfigError, match=r"bundle\.channel"):
        device.config  # noqa: B018
    device.settings.write_text(text)
    assert device.put(chain(signed(statement()), signed(statement(2)))).result == "installed"
    (device.folder / "given.json").write_bytes(chain(signed(statement(root=role(1, "mallory")), "mallory")))
    with pytest.raises(OperatorError, match="does not belong to what this device holds"):
        device.put(device.bundle(1))
    (device.folder / "given.json").unlink()
    with pytest.raises(OperatorError, match="cannot be read"):
        device.put(device.bundle(1))


def test_status_tells_what_the_device_goes_by(device: Device, capsys: pytest.CaptureFixture[str]) -> None:
    from edge.cli import main

    device.put(device.bundle(1))
    device.put(chain(signed(statement()), signed(statement(2, revoked_keys=(person("emil").key.id,)))))
    assert main(["bundle", "status", "--config", str(device.settings)]) == 0
    out = capsys.readouterr().out
    assert "trust     statement 2 of our lab, until 2027-03-02: in force" in out
    assert "trust     channel study takes 2 signatures of: dora" in out
    assert "would not be let in today: " in out
    assert "revoked key: emil" in out
