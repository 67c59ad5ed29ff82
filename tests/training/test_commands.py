"""`cageclock-train` from pictures to a signed bundle, as a person runs it, with a handful of steps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.contract.bundle.bundle import read_bundle
from edge.contract.bundle.keys import new_key_pair
from edge.contract.manifest import CARD, Parts
from edge.errors import BundleError
from edge.vision.model.golden import NAMES, check_golden
from edge.vision.model.loaded import load_model
from edge.vision.model.runtime import open_network
from tests.training.conftest import command, here
from training.bundle.label import NOTICE
from training.crops.split import split_by_group
from training.run import CALIBRATION, PARTS_SPEC, Calibration, Run
from training.simulated.dataset import open_data

pytestmark = pytest.mark.slow


def test_a_run_ends_in_a_bundle_that_the_device_loads(run: Path) -> None:
    """The bundle holds under its public key, is under 3 MB, and its networks give the golden outputs."""
    path = run / "cageclock-demo.bundle"
    bundle = read_bundle(path, [(run / "key.pub").read_bytes()])
    assert path.stat().st_size < 3_000_000
    model = load_model(bundle)
    assert check_golden(model, bundle) == []
    assert model.manifest.notice == NOTICE


def test_the_notice_is_wherever_the_model_speaks(run: Path) -> None:
    """Model card, report and manifest say that the mice were simulated."""
    bundle = read_bundle(run / "cageclock-demo.bundle", [(run / "key.pub").read_bytes()])
    assert NOTICE == "trained on simulated mice; no biological claim"
    texts = (bundle.files[CARD].decode(), (run / "report.md").read_text(), bundle.manifest.notice)
    assert all(NOTICE in text for text in texts)


def test_another_key_does_not_open_it(run: Path) -> None:
    """A bundle is refused under a key that did not sign it."""
    with pytest.raises(BundleError):
        read_bundle(run / "cageclock-demo.bundle", [new_key_pair()[1]])


def test_the_private_key_is_for_its_owner_only(run: Path) -> None:
    """Nobody else on the machine can read the signing key."""
    assert (run / "key.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", NAMES)
def test_int8_input_is_exactly_pixel_minus_128(run: Path, name: str) -> None:
    """Scale 1/255 and zero point -128, whatever the pictures: the device subtracts 128 and nothing else."""
    source = open_network((run / f"{name}.tflite").read_bytes()).input
    assert (source.dtype, source.zero_point) == ("int8", -128)
    assert source.scale == pytest.approx(1 / 255, rel=1e-6)


def test_no_animal_is_on_two_sides(run: Path) -> None:
    """The run's training, calibration and test animals are different animals."""
    data = open_data(Run(run))
    split = split_by_group(data.cage)
    sides = [set(data.animal[mask]) for mask in (split.train, split.calibration, split.test)]
    assert sum(len(side) for side in sides) == len(set.union(*sides))
    training = Run(run).read_struct(CALIBRATION, Calibration).training
    assert [training[f"{name}_animals"] for name in ("train", "calibration", "test")] == [len(side) for side in sides]


def test_the_report_compares_both_networks_on_the_same_animals(run: Path) -> None:
    """Float32, int8 and the constant guess are in the report, on the held-out animals; 5 cages give no interval."""
    report = json.loads((run / "report.json").read_text())
    data = open_data(Run(run))
    test = split_by_group(data.cage).test
    assert report["test_readings"] == test.sum()
    guess = np.abs(np.median(data.age_days[split_by_group(data.cage).train]) - data.age_days[test]).mean()
    assert report["mae_days_constant"] == pytest.approx(guess, rel=1e-5)
    assert {"mae_days", "mae_days_float32", "mae_ratio", "int8_difference_days"} <= report.keys()
    assert "coverage_90" not in report
    assert "9 are the least" in report["calibration"]["missing"]
    assert (run / "contact-sheet.png").stat().st_size > 1000


def test_what_is_there_is_used_again(run: Path) -> None:
    """The same command goes on where it stopped: finished data and networks are neither rendered nor trained anew."""
    kept = ("data.npz", "centres.tflite", "parts.tflite", "age.keras")
    before = {name: (run / name).stat().st_mtime_ns for name in kept}
    done = here("demo-bundle", "--out", run, "--cages", 8, "--frames", 3)
    assert done.returncode == 0, done.stderr
    assert {name: (run / name).stat().st_mtime_ns for name in kept} == before


@pytest.mark.parametrize("name", ["fit", "quantise", "evaluate", "bundle", "locator"])
def test_a_step_without_the_one_before_says_which(tmp_path: Path, name: str) -> None:
    """Each command on an empty folder gives one line that names what to run first, and exit code 2."""
    done = command(name, "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(f"cageclock-train: {tmp_path}")
    assert "run `cageclock-train simulate" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_project_is_one_clear_error(tmp_path: Path) -> None:
    """`locator --dlc` on another folder says what a project holds."""
    done = here("locator", "--dlc", tmp_path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert "labeled-data/<video>/CollectedData_<scorer>.csv" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_likelihood_of_parts_is_fitted_on_held_out_crops(run: Path) -> None:
    """The two numbers are those of the calibration cages, and what the device reads in the manifest."""
    from training.locator.fit import with_likelihood

    data, spec = open_data(Run(run)), Run(run).read_struct(PARTS_SPEC, Parts)
    held = split_by_group(data.part_cage).calibration
    content = (run / "parts.tflite").read_bytes()
    fitted = with_likelihood(content, spec, data.parts[held], data.keypoints[held])
    bundle = read_bundle(run / "cageclock-demo.bundle", [(run / "key.pub").read_bytes()])
    assert (fitted.likelihood_a, fitted.likelihood_b) == (spec.likelihood_a, spec.likelihood_b) != (0.0, 1.0)
    assert bundle.manifest.parts == spec


def test_another_seed_than_that_of_the_training_is_refused(run: Path) -> None:
    """It divides the animals otherwise: what the model was trained on would be called unseen."""
    for step, before in (("quantise", "fit"), ("evaluate", "quantise")):
        done = here(step, "--out", run, "--seed", 2)
        assert done.returncode == 2
        assert f"--seed: expected 1, by which `{before}` divided the animals, got 2" in done.stderr


def test_the_same_run_built_again_elsewhere_is_the_same_bundle(run: Path, tmp_path: Path) -> None:
    """Byte for byte, unsigned; with a signature it is the one that the run's own key signed before."""
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    first, again = (command("bundle", "build", "--out", one, "--file", one / "b") for one in (run, copied))
    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert (run / "b").read_bytes() == (copied / "b").read_bytes()
    signed = command("bundle", "sign", copied / "b", "--key", copied / "key.pem")
    assert signed.returncode == 0, signed.stderr
    assert (copied / "b").read_bytes() == (run / "cageclock-demo.bundle").read_bytes()
    (run / "b").unlink()
