"""The lab's page over the demo's log, where what it needs is installed."""

from __future__ import annotations

import re
import socket
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from edge.demo.children import Children

NAME = "page"
PATIENCE_S = 30.0
_ADDRESS = re.compile(r"open (http://\S+)")


@dataclass(frozen=True, slots=True)
class DemoPage:
    """The page as a child process. address: signs whoever opens it in; it is good as long as the process runs."""

    children: Children
    address: str

    def runs(self) -> bool:
        """Return whether it still serves."""
        return self.children.runs(NAME)


def start_page(children: Children, data: Path) -> DemoPage | None:
    """Return the page once it answers; None, with a line that says so, where it is not installed or does not start."""
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        print("page            not installed: pip install 'cageclock[demo]' brings it", flush=True)
        return None
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "station.cli", "serve", "--data", str(data), "--port", str(port), "--token"]
    children.start(NAME, command, optional=True)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and children.runs(NAME):
        found = _ADDRESS.search(children.log(NAME))
        if found is not None:
            return DemoPage(children, found[1])
        time.sleep(0.1)
    lines = children.log(NAME).strip().splitlines() or ["it said nothing"]
    print(f"page            did not start: {lines[-1]}", flush=True)
    return None
