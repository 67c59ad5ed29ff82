"""A lab and an honest server for each test of fetch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.contract.bundle.bundle import Bundle
from tests.edge.fetch.lab import Lab
from tests.edge.fetch.server import Server


@pytest.fixture
def lab(tmp_path: Path, tiny_bundle: Bundle) -> Lab:
    return Lab(tmp_path, tiny_bundle)


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    with Server(lab.content) as made:
        yield made
