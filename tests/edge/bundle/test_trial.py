"""Whatever happens to a device during trials, a model works; what was condemned stays away, what is good stays."""

import tempfile
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle.canary import Verdict
from edge.bundle.history import read_history, write_history
from edge.bundle.install import Installer
from edge.bundle.slots import ACTIVE, PREVIOUS
from edge.bundle.trial import BAD_ENDS, FILE
from edge.capture.model import ModelSource
from edge.config.load import load_config
from edge.contract.bundle.bundle import Bundle
from edge.contract.manifest import GOLDEN_OUTPUTS
from edge.vision.model.loaded import LoadedModel
from tests.edge.bundle.device import Device, golden_of_another

CAPTURES = 4
TRIAL = f", trial_captures: {CAPTURES}, trial_minutes: 1"
KINDS = ("good", "crashes", "raises", "wrong golden")


class World:
    """A device whose canary notices nothing, so that everything gets as far as the trial; a process is a `ModelSource`.

    A kill leaves on the disk exactly what was synced: the next process has nothing else.
    """

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.device, self.bundle = Device(folder, bundle, TRIAL), bundle
        self.config = load_config(self.device.settings)
        self.now_s = 0.0
        self.kinds: dict[str, str] = {}
        self.files: list[Path] = []
        self.killed: Counter[str] = Counter()
        self.away: set[str] = set()
        self.proven: set[str] = set()
        self.restart()
        self.install("good")
        self.captures(CAPTURES + 2)
        assert len(self.proven) == 1

    def restart(self) -> None:
        self.source = ModelSource(self.config, lambda: self.now_s)

    def install(self, kind: str) -> None:
        release = len(self.files) + 1
        files = {GOLDEN_OUTPUTS: golden_of_another(self.bundle)} if kind == "wrong golden" else {}
        self.files.append(self.device.make(release, f"b{release}", files=files))
        entry = self.put(self.files[-1])
        assert entry.result == "installed"
        self.kinds[entry.sha256] = kind

    def put(self, path: Path):
        with Installer(self.config, lambda _path, _keys: Verdict(problems=())) as installer, path.open("rb") as file:
            return installer.install(path.name, file.fileno())

    def bring_back(self, which: int) -> None:
        entry = self.put(self.files[which % len(self.files)])
        assert entry.result in ("refused", "active already")

    def settle(self) -> None:
        with Installer(self.config) as installer:
            installer.settle()

    def captures(self, count: int) -> None:
        for _ in range(count):
            model = self.model()
            kind = self.kinds[model.sha256]
            if kind == "crashes":
                self.killed_at_work()
                continue
            try:
                with self.source.at_work():
                    model.age.run_raw(np.zeros((40, 96, 1), np.uint8))
                    if kind == "raises":
                        raise RuntimeError("the kernel failed")
            except RuntimeError:
                self.killed[model.sha256] += 1
            self.now_s += 60.0
            self.look()

    def killed_at_work(self) -> None:
        model = self.model()
        with_mark = self.source.at_work()
        with_mark.__enter__()
        self.killed[model.sha256] += 1
        self.restart()

    def killed_between(self) -> None:
        self.model()
        self.restart()

    def model(self) -> LoadedModel:
        """Return what works now; there is always one, and never one that was sent away."""
        model = self.source.get()
        assert model is not None
        self.look()
        assert model.sha256 not in self.away
        return model

    def look(self) -> None:
        state = self.source.trial.state
        self.proven |= set(state.good)
        self.away |= {one.sha256 for one in state.condemned} | set(read_history(self.device.state).refused)
        assert not self.away & self.proven
        for sha256 in self.away:
            assert self.kinds.get(sha256) == "wrong golden" or self.killed[sha256] >= BAD_ENDS
        for sha256, count in self.killed.items():
            assert count < BAD_ENDS or sha256 in self.away | self.proven or self.source.trial.state.of(sha256).begun
        assert all(self.kinds[sha256] == "good" for sha256 in self.proven)


STEPS = st.one_of(
    st.tuples(st.just("install"), st.sampled_from(KINDS)),
    st.tuples(st.just("captures"), st.integers(1, CAPTURES + 2)),
    st.tuples(st.just("bring_back"), st.integers(0, 9)),
    st.tuples(st.sampled_from(["killed_at_work", "killed_between", "settle", "restart"])),
)


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_a_model_works_whatever_happens(steps: list[tuple], tiny_bundle: Bundle) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), tiny_bundle)
        for name, *arguments in steps:
            getattr(world, name)(*arguments)
            world.model()
        # Left alone, the device ends with a model that has proved itself, whichever was installed last.
        world.captures(4 * (CAPTURES + BAD_ENDS))
        assert world.model().sha256 in world.proven


def test_a_single_kill_condemns_nobody_and_three_do(tmp_path: Path, tiny_bundle: Bundle) -> None:
    world = World(tmp_path, tiny_bundle)
    first = world.model().sha256
    world.install("good")
    second = world.model().sha256
    assert BAD_ENDS > 1
    for count in range(1, BAD_ENDS):
        world.killed_at_work()
        assert world.model().sha256 == second
        assert world.source.trial.state.of(second).bad_ends == count
    for _ in range(10):
        world.killed_between()
    assert world.model().sha256 == second
    world.killed_at_work()
    assert world.model().sha256 == first
    assert f"{BAD_ENDS} times" in str(world.source.problem)


def test_a_full_trial_needs_its_captures_and_its_minutes(tmp_path: Path, tiny_bundle: Bundle) -> None:
    world = World(tmp_path, tiny_bundle)
    world.install("good")
    sha256 = world.model().sha256
    for _ in range(3 * CAPTURES):
        with world.source.at_work():
            world.model().age.run_raw(np.zeros((40, 96, 1), np.uint8))
    assert world.source.trial.on_trial(sha256), "no time has passed"
    world.now_s += 61
    with world.source.at_work():
        pass  # the gate refused the picture: the model did not run, the time counts
    assert not world.source.trial.on_trial(sha256)


def test_of_unproven_bundles_none_takes_the_place_of_the_proven_one(tmp_path: Path, tiny_bundle: Bundle) -> None:
    world = World(tmp_path, tiny_bundle)
    first = world.model().sha256
    for kind in ("crashes", "wrong golden", "crashes"):
        world.install(kind)
    world.captures(3 * BAD_ENDS)
    assert world.model().sha256 == first


def test_a_verdict_is_carried_out_at_the_next_run(tmp_path: Path, tiny_bundle: Bundle) -> None:
    world = World(tmp_path, tiny_bundle)
    first = world.model().sha256
    world.install("wrong golden")
    assert world.model().sha256 == first
    assert world.device.active() == 2, "capture may not move the links"
    entry = world.put(world.files[-1])
    assert entry.result == "refused"
    assert "was rolled back on this device" in entry.reason
    assert world.device.active() == 1
    assert world.device.slots.target(PREVIOUS) is None, "nobody can go back to what was condemned"
    carried_out = read_history(world.device.state).entries[-2]
    assert (carried_out.result, carried_out.by, carried_out.sha256) == ("rolled back", "trial", first)
    assert "golden input 0" in carried_out.reason
    assert world.model().sha256 == first
    assert world.source.problem is None


def test_without_one_before_it_a_condemned_bundle_is_refused_and_the_next_one_runs(
    tmp_path: Path, tiny_bundle: Bundle
) -> None:
    world = World(tmp_path, tiny_bundle)
    for link in (ACTIVE, PREVIOUS):
        (world.device.slots.folder / link).unlink(missing_ok=True)
    world.install("wrong golden")
    world.restart()
    assert world.source.get() is None
    assert "failed its trial" in str(world.source.problem)
    world.settle()
    entry = read_history(world.device.state).entries[-1]
    assert (entry.result, entry.by) == ("refused", "trial")
    world.settle()
    assert read_history(world.device.state).entries[-1] == entry, "it is noted once"
    world.install("good")
    assert world.kinds[world.model().sha256] == "good"
    assert world.device.slots.target(PREVIOUS) is None


def test_a_trial_on_a_full_disk_or_with_a_damaged_file_keeps_the_model(tmp_path: Path, tiny_bundle: Bundle) -> None:
    world = World(tmp_path, tiny_bundle)
    world.install("good")
    second = world.model().sha256
    (world.device.state / FILE).write_bytes(b'{"pending": [')
    world.restart()
    assert world.model().sha256 == second
    (world.device.state / FILE).unlink()
    (world.device.state / FILE).mkdir()  # nothing can be written there
    for _ in range(2 * BAD_ENDS):
        world.killed_at_work()
        world.killed.clear()  # what cannot be marked is not counted
    assert world.model().sha256 == second


def test_a_power_cut_between_the_refusal_and_the_links_is_made_good(tmp_path: Path, tiny_bundle: Bundle) -> None:
    world = World(tmp_path, tiny_bundle)
    first = world.model().sha256
    world.install("wrong golden")
    assert world.model().sha256 == first
    (condemned,) = (one.sha256 for one in world.source.trial.state.condemned)
    history = read_history(world.device.state)
    write_history(world.device.state, msgspec.structs.replace(history, refused=(condemned,)))
    assert world.device.active() == 2
    world.restart()
    assert world.model().sha256 == first
    world.settle()
    assert world.device.active() == 1
    assert world.model().sha256 == first
