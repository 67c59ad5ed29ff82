"""For all tests: steady examples, `--quick`, no test leaves anything running, children's logs with a failure.

Property tests draw the same examples each time, so that a run says what another one will;
`--hypothesis-profile=random` draws new ones (and `--hypothesis-seed=N` the same new ones again).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.harness import quick
from tests.harness.child import Child
from tests.harness.leaks import Held, adopt_orphans, left_since

_BUSY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}  # how long an example takes is no finding
settings.register_profile("random", derandomize=False, **_BUSY)
settings.register_profile("steady", derandomize=True, **_BUSY)
settings.register_profile("quick", derandomize=True, max_examples=15, **_BUSY)
settings.load_profile("steady")
adopt_orphans()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts a job in the background has it ignored; what the tests start would ignore Ctrl-C too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
resource_tracker.ensure_running()  # once, before any test: it goes on as long as the interpreter
LONG_LIMIT_S = 1800
LONG = ("training", "campaigns", "system")
"""Folders of tests that take up to three minutes on an idle machine; the limit is also above that of each command."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--quick`."""
    parser.addoption("--quick", action="store_true", help="only the pure tests: no broker, no child, no training")


def pytest_configure(config: pytest.Config) -> None:
    """Draw fewer examples in a quick run, unless a profile is named."""
    if config.getoption("--quick") and not config.getoption("--hypothesis-profile", None):
        settings.load_profile("quick")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass over whole files in a quick run: importing TensorFlow alone takes seconds."""
    return True if config.getoption("--quick") and quick.is_heavy(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not quick, if asked; else put the files that take longest first, so that all end together."""
    if config.getoption("--quick"):
        chosen = [item for item in items if not quick.reason_against(item)]
        config.hook.pytest_deselected(items=[item for item in items if quick.reason_against(item)])
        items[:] = chosen
    else:
        items.sort(key=lambda item: quick.order(item.path))
    for item in items:
        if any(item.path.is_relative_to(quick.TESTS / folder) for folder in LONG):
            item.add_marker(pytest.mark.timeout(LONG_LIMIT_S))


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or an open descriptor.

    The rig's tests share one machine of many processes, which goes on and restarts its own; its end is the machine's.
    """
    if _folder_of(request) == "rig":
        yield
        return
    Child.started.clear()
    before = Held.now()
    yield
    (request.node.funcargs or {}).clear()  # a client of paho closes its last sockets when nobody holds it any more
    left = left_since(before)
    assert left == [], "the test has ended and this is still there: " + "; ".join(left)


def _folder_of(request: pytest.FixtureRequest) -> str:
    """Return the name of the folder that holds the test's file."""
    return Path(request.node.path).parent.name


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show what the children of a failed test have written."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed:
        report.sections += [(f"child process {child.name}", child.report()) for child in Child.started]
