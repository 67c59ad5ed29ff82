"""The browser of the page's tests: the system's own Chromium, one for each file."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.harness.child import REPOSITORY

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
