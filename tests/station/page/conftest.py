"""The browser of the page's tests, the system's own Chromium, one for each file; and a small lab's page for all."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from station.page.database import page_database
from tests.harness.child import REPOSITORY
from tests.station.page.lab import PageProcess, add_people, fill

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
AXE = REPOSITORY / "build/npm/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium; a machine without one fails, as the page is for browsers."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found is not None, "the tests of the page need Chromium; as root: apt-get install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The checker of accessibility, taken from its npm package as the page's own files are."""
    (REPOSITORY / "build").mkdir(exist_ok=True)
    with (REPOSITORY / "build" / "npm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, REPOSITORY / "tools/page_assets.py", "--tests"]
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Path(AXE).read_text()


@pytest.fixture(scope="session")
def small_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageProcess]:
    """The page over four cages, the first of which fell silent: the files that only talk to it share it."""
    data = tmp_path_factory.mktemp("small") / "lab"
    fill(data, 4, days=3, silent=1)
    add_people(data)
    with PageProcess(data) as found:
        yield found


@pytest.fixture
def page_data(tmp_path: Path) -> Path:
    """A folder with the page's own database, new."""
    with page_database(tmp_path):
        return tmp_path
