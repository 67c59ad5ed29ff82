"""A wrong path or option of `cageclock-train` is one clear line, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.contract.bundle.demo import DEMO_BUNDLE
from tests.training.conftest import command, here


def said(*arguments: object) -> str:
    """Return the last line on standard error of a command that must refuse with code 2, without a traceback."""
    done = here(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("simulate", "--cages", "0"), ("fit", "--steps", "-3"), ("locator", "--px-per-mm", "nan")],
)
def test_a_number_out_of_range_is_named(tmp_path: Path, name: str, option: str, value: str) -> None:
    line = said(name, "--out", tmp_path, option, value)
    assert option in line
    expected = "a number above 0 and below 1000" if value == "nan" else "a whole number of at least 1"
    assert line.endswith(f"expected {expected}, got {value!r}")


@pytest.mark.parametrize("name", ["fit", "quantise", "evaluate", "bundle"])
def test_a_step_without_the_one_before_it_says_which(tmp_path: Path, name: str) -> None:
    """Both ways to get crops are named: simulated animals, and a dataset of one's own."""
    line = said(name, "--out", tmp_path)
    ways = f"`cageclock-train simulate --out {tmp_path}` or `cageclock-train crops DATASET --out {tmp_path}`"
    assert line == f"cageclock-train: {tmp_path / 'crops.csv'}: there is no table of crops; run {ways} first"


def test_data_of_something_else_is_said(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(b"junk")
    line = said("fit", "--out", tmp_path)
    assert line.startswith(f"cageclock-train: {tmp_path / 'data.npz'}: expected the data that")
    assert line.endswith("remove it and run simulate again")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = said("simulate", "--out", tmp_path / "file" / "run", "--cages", 3)
    assert line == f"cageclock-train: {tmp_path / 'file' / 'run'}: Not a directory"


def test_a_folder_that_is_no_project_is_named(tmp_path: Path) -> None:
    assert str(tmp_path) in said("locator", "--dlc", tmp_path, "--out", tmp_path / "run")


def test_an_age_model_that_is_not_there_is_said_before_the_training(tmp_path: Path) -> None:
    line = said("locator", "--dlc", tmp_path, "--out", tmp_path / "run", "--age-from", tmp_path / "none.bundle")
    assert line == f"cageclock-train: {tmp_path / 'none.bundle'}: expected a bundle, there is none"


@pytest.mark.skipif(not DEMO_BUNDLE.exists(), reason="the demo bundle has not been made")
def test_a_contact_sheet_without_the_key_names_it(tmp_path: Path) -> None:
    options = ("--bundle", DEMO_BUNDLE, "--trust", tmp_path / "none.pub", "--source", tmp_path)
    line = said("contact-sheet", *options, "--out", tmp_path / "sheet.png")
    assert line == f"cageclock-train: {tmp_path / 'none.pub'}: expected the bundle's public key (PEM), there is none"


def test_data_that_is_there_already_is_used_and_that_is_said(tmp_path: Path) -> None:
    first = command("simulate", "--out", tmp_path, "--cages", 1, "--frames", 1, "--workers", 1)
    second = command("simulate", "--out", tmp_path, "--cages", 2, "--frames", 1, "--workers", 1)
    assert (first.returncode, second.returncode) == (0, 0)
    assert second.stdout.strip() == first.stdout.strip() + " (there already, used again; remove it for another)"
