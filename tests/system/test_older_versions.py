"""What version 0.1.0 left on a card and in a lab goes on under this one: nothing is lost, nothing comes twice.

`tests/data/version-0.1.0.tar.xz` holds a state folder with nine records, of which five were released, and the
database of the station that has these five. Version 0.1.0 itself made both.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.child import REPOSITORY
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.system.cage import Cage

pytestmark = pytest.mark.broker
OLD = REPOSITORY / "tests/data/version-0.1.0.tar.xz"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def cage(tmp_path: Path, broker: Mosquitto) -> Cage:
    """A device and a station as an upgrade finds them."""
    found = Cage(tmp_path / "lab", broker.port, thumbnail={"width": 64})
    with tarfile.open(OLD) as archive:
        archive.extractall(found.folder, filter="data")
    return found


def test_an_older_card_goes_on_and_everything_arrives_once_at_the_older_database(cage: Cage) -> None:
    before = cage.appended()
    already = cage.logged()
    assert len(before) == 9
    assert len(already) == 5
    assert already < before
    code, lines = cage.capture(2)
    assert code == 0, lines
    now = cage.appended()
    assert before < now
    with cage.station(), cage.publish():
        cage.arrives()
        wait_until(lambda: cage.pictures() <= cage.stored_pictures())
        wait_until(lambda: cage.released() == cage.epochs())
    assert cage.logged() == now


def test_the_lab_reads_an_older_database_before_anything_has_written_to_it(cage: Cage) -> None:
    for words in (["status"], ["show"], ["export", "--out", str(cage.folder / "export")]):
        command = [sys.executable, "-m", "station.cli", *words, "--data", str(cage.data)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=600, check=False)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr
    assert len((cage.folder / "export/readings.csv").read_text().splitlines()) == 1 + 3
