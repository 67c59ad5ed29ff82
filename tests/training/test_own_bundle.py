"""`bundle` for a run that has only own crops: the locator comes from elsewhere, the card needs people's answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from edge.contract.bundle.bundle import read_bundle
from edge.contract.manifest import CARD, CENTRES, GOLDEN_INPUTS, PARTS
from edge.vision.model.golden import check_golden
from edge.vision.model.loaded import load_model
from tests.training.conftest import command, here
from tests.training.labelled_project import PARTS as PARTS_OF_PROJECT
from tests.training.labelled_project import make_project
from training.bundle.label import OWN_NOTICE
from training.card.items import REQUIRED
from training.locator.golden_inputs import LocatorSamples
from training.run import CUT_BY, LOCATOR_SAMPLES, Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops without a truth, as own animals' are, with an age model that was fitted, quantised and evaluated."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("crops.npz", "age.keras", "age-fit.json", CUT_BY):
        shutil.copy(run / name, folder)
    table = pd.read_csv(run / "crops.csv", dtype=str, keep_default_na=False)
    table[[name for name in table if not name.startswith("truth_")]].to_csv(folder / "crops.csv", index=False)
    for run_as, step in ((command, "quantise"), (here, "evaluate")):
        done = run_as(step, "--out", folder)
        assert done.returncode == 0, done.stderr
    (folder / "answers.yaml").write_text(yaml.safe_dump({key: f"About {key}." for key in REQUIRED}))
    return folder


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "own"))


def test_it_is_signed_with_another_runs_locator(own: Path, run: Path) -> None:
    """The bundle loads, its golden outputs hold, and nothing in it says that the mice were simulated but the locator's
    origin.
    """
    done = command("bundle", "--out", own, "--locator", run, "--card-answers", own / "answers.yaml")
    assert done.returncode == 0, done.stderr
    assert "not answered: abstract (2)" in done.stdout
    bundle = read_bundle(own / "own-animals.bundle", [(own / "key.pub").read_bytes()])
    assert check_golden(load_model(bundle), bundle) == []
    assert bundle.files[CENTRES] == (run / CENTRES).read_bytes()
    assert bundle.files[PARTS] == (run / PARTS).read_bytes()
    assert (bundle.manifest.notice, bundle.manifest.channel) == (OWN_NOTICE, "own")
    assert bundle.manifest.training["source"] == "own animals"
    card = bundle.files[CARD].decode()
    assert f"trained on simulated cages of the run {run.name}" in card
    assert card.count("simulated") == 1
    assert "About ethics." in card
    again = here("bundle", "--out", own, "--card-answers", own / "answers.yaml", "--seed", 5)
    assert again.returncode == 0, "the locator and its pictures are in the run now"
    bundle = read_bundle(own / "own-animals.bundle", [(own / "key.pub").read_bytes()])
    assert bundle.files[CARD].decode() == card, "the split is that of the figures, whatever seed is given here"


def test_the_locator_of_a_bundle_brings_its_golden_inputs(own: Path, run: Path) -> None:
    """Taken from a bundle whose public key lies beside it; its pictures are the new bundle's."""
    shutil.copy(run / "cageclock-demo.bundle", own / "given.bundle")
    shutil.copy(run / "key.pub", own / "given.pub")
    done = here(
        "bundle", "--out", own, "--locator", own / "given.bundle", "--card-answers", own / "answers.yaml", "--name", "x"
    )
    assert done.returncode == 0, done.stderr
    given = read_bundle(own / "given.bundle", [(run / "key.pub").read_bytes()])
    made = read_bundle(own / "x.bundle", [(own / "key.pub").read_bytes()])
    (own / "a.npz").write_bytes(given.files[GOLDEN_INPUTS])
    (own / "b.npz").write_bytes(made.files[GOLDEN_INPUTS])
    with np.load(own / "a.npz") as old, np.load(own / "b.npz") as new:
        assert np.array_equal(old["centres"], new["centres"])
        assert np.array_equal(old["parts"], new["parts"])
    assert made.manifest.parts == given.manifest.parts
    assert "taken from the bundle cageclock-demo" in made.files[CARD].decode()


def test_unanswered_it_is_not_signed(own: Path, run: Path) -> None:
    """One error names the keys; neither a bundle nor a key is made."""
    done = here("bundle", "--out", own, "--locator", run)
    assert done.returncode == 2
    assert all(key in done.stderr for key in REQUIRED)
    assert "card-template" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(own.glob("*.bundle"))
    assert not (own / "key.pem").exists()


def test_without_a_locator_the_error_says_where_to_get_one(own: Path) -> None:
    done = here("bundle", "--out", own, "--card-answers", own / "answers.yaml")
    assert done.returncode == 2
    assert "--locator" in done.stderr
    assert "--dlc" in done.stderr


def test_it_is_signed_with_a_locator_from_labelled_frames(own: Path, tmp_path: Path) -> None:
    """`locator --dlc` into the same folder leaves all that `bundle` needs; golden pictures are the project's."""
    project = make_project(tmp_path / "project")
    trained = here("locator", "--dlc", project, "--out", own, "--steps", 2, "--centre-steps", 2)
    assert trained.returncode == 0, trained.stderr
    done = here("bundle", "--out", own, "--card-answers", own / "answers.yaml")
    assert done.returncode == 0, done.stderr
    bundle = read_bundle(own / "own-animals.bundle", [(own / "key.pub").read_bytes()])
    assert check_golden(load_model(bundle), bundle) == []
    assert bundle.manifest.parts.keypoints == PARTS_OF_PROJECT
    assert "trained on the labelled frames of project" in bundle.files[CARD].decode()


def test_a_copied_locator_needs_pictures_that_fit_it(own: Path, run: Path) -> None:
    """Networks copied by hand: first their pictures are missing, then they are of another locator, then all is well."""
    for name in (CENTRES, PARTS, "centres.json", "parts.json"):
        shutil.copy(run / name, own)
    command_line = ("bundle", "--out", own, "--card-answers", own / "answers.yaml")
    missing = here(*command_line)
    assert missing.returncode == 2
    assert f"{own / LOCATOR_SAMPLES}" in missing.stderr
    LocatorSamples(np.zeros((3, 8, 8, 1), np.uint8), np.zeros((3, 192, 192, 1), np.uint8), "drawn").save(Run(own))
    wrong = here(*command_line)
    assert wrong.returncode == 2
    assert "another locator" in wrong.stderr
    done = here(*command_line, "--locator", run)
    assert done.returncode == 0, done.stderr


def test_a_runs_own_locator_is_never_overwritten(own: Path, run: Path) -> None:
    for name in (CENTRES, "centres.json", "parts.json"):
        shutil.copy(run / name, own)
    (own / PARTS).write_bytes(b"another network")
    done = here("bundle", "--out", own, "--locator", run, "--card-answers", own / "answers.yaml")
    assert done.returncode == 2
    assert "has another locator" in done.stderr
    assert (own / PARTS).read_bytes() == b"another network"
