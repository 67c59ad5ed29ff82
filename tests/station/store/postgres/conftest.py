"""One PostgreSQL for the tests of a process; each test has a database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.postgres import Postgres, each_database
from tests.station.store.postgres.lab import Lab


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """A server that is quick, and loses everything with the machine: no test here cuts its power."""
    with Postgres() as running:
        yield running


@pytest.fixture
def url(server: Postgres) -> Iterator[str]:
    """A new, empty database."""
    yield from each_database(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def lab(request: pytest.FixtureRequest, tmp_path: Path, server: Postgres) -> Lab:
    """A station's folder whose log lies in either database."""
    return Lab(tmp_path / "lab", request.getfixturevalue("url") if request.param == "postgresql" else None)


@pytest.fixture
def postgres_lab(url: str, tmp_path: Path) -> Lab:
    """A station's folder whose log lies on PostgreSQL."""
    return Lab(tmp_path / "lab", url)
