"""Which tests `--quick` runs: the pure ones; and which files a whole run begins with: those that take longest."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FOLDERS = ("campaigns", "rig", "systemd", "system", "firmware_config", "project")
"""Whole folders of child processes, brokers and machines."""
IMPORTS = (
    *("import subprocess", "import multiprocessing", "tests.harness.child", "tests.harness.mosquitto"),
    *("tests.edge.capture.running", "tests.edge.bundle.device", "tests.edge.fetch.lab", "tests.station.running"),
    *("tests.training.conftest", "tests.station.page.lab", "tests.station.page.alarms_lab"),
    *("tests.station.store.postgres.lab", "tests.harness.postgres", "keras", "tensorflow", "statsmodels"),
)
"""A file with one of these in its text starts processes, installs bundles or trains networks."""
LONG = (
    *("edge/simulate/test_shortcuts.py", "edge/outbox/recovery/test_integrity.py", "edge/vision/test_observe.py"),
    *("training/age/test_outliers.py", "training/age/test_calibrate.py"),
)
"""Pure files that cost more than a tenth of all others together."""
FIXTURES = {"run", "broker"}
MARKS = ("broker", "slow")
FIRST = ("campaigns", "training", "system", "edge/publish", "edge/bundle", "edge/capture")

BUILDS_RUN = "training/age/test_predictions.py"
"""Begun before all others: it makes the fixture `run`, for which the other files that use it would only wait."""
USES_RUN = re.compile(r"^def test_\w+\((?:[^)]*\b)?run: Path", re.MULTILINE)


def is_heavy(path: Path) -> bool:
    """Return whether no test of this file, or folder, is quick."""
    if path.suffix != ".py" or path.name == "conftest.py":
        return path.is_dir() and path.parent == TESTS and path.name in FOLDERS
    if path.as_posix().endswith(LONG):
        return True
    text = path.read_text()
    return any(name in text for name in IMPORTS)


def reason_against(item: pytest.Item) -> str:
    """Return why a test is not quick, "" for one that is."""
    for mark in MARKS:
        if item.get_closest_marker(mark) is not None:
            return mark
    return next(iter(FIXTURES & set(getattr(item, "fixturenames", ()))), "")


@cache
def order(path: Path) -> tuple[int, bool]:
    """Return the place of a file in a whole run: its folder's, and in that whether it waits for the tiny run."""
    name = str(path.relative_to(TESTS)) if path.is_relative_to(TESTS) else ""
    if name == BUILDS_RUN:
        return -1, False
    place = next((place for place, folder in enumerate(FIRST) if name.startswith(folder)), len(FIRST))
    return place, name.startswith("training/") and USES_RUN.search(path.read_text()) is not None
