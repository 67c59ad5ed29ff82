"""The programs of the gallery do what they say, with a real broker and a real device beside them."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.harness.child import REPOSITORY, Child, python
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.system.cage import Cage

pytestmark = pytest.mark.broker
EXAMPLES = REPOSITORY / "docs/examples"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def stored(path: Path) -> set[tuple[str, int]]:
    """Return (epoch, seq) of every record that the example has stored."""
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'records'").fetchone() == (1,)
        return set(connection.execute("SELECT epoch, seq FROM records").fetchall()) if made else set()


def test_a_logger_in_one_file_has_every_record_and_the_device_lets_go_of_them(tmp_path: Path, broker) -> None:
    cage = Cage(tmp_path, broker.port, mqtt={"station": "mylog"})
    cage.capture(4)
    database = tmp_path / "records.db"
    words = python(EXAMPLES / "logger.py", "127.0.0.1", broker.port, "mylog", database)
    with Child(words, tmp_path / "logger.log") as logger, cage.publish():
        wanted = {(epoch, seq) for epoch, seq, _ in cage.appended()}
        assert len(wanted) >= 4
        wait_until(lambda: database.exists() and wanted <= stored(database))
        wait_until(lambda: cage.released() == cage.epochs())
        logger.kill()
        cage.capture(2)  # a logger that was killed takes up where it was
        logger.start()
        wanted = {(epoch, seq) for epoch, seq, _ in cage.appended()}
        wait_until(lambda: wanted <= stored(database))


def test_the_newest_ages_are_drawn(tmp_path: Path, broker) -> None:
    """The contract's own example of a reading, sent several times under two numbers, is two points of one line."""
    reading = (REPOSITORY / "edge/contract/schemas/examples/reading.v1.json").read_text()
    picture = tmp_path / "ages.png"
    words = [sys.executable, str(EXAMPLES / "plot_ages.py"), "127.0.0.1", str(broker.port), "4", str(picture)]
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        while program.poll() is None:
            for payload in (reading, reading.replace('"seq":1760', '"seq":1761').replace("19:15:00", "19:20:00")):
                client.publish("cageclock/v1/cage07/reading", payload, qos=1)
            time.sleep(0.1)
        said, wrong = program.communicate()
    client.loop_stop()
    assert program.returncode == 0, wrong
    assert re.search(r"m-17\s+2\.0\s+212\.4", said), said
    assert picture.stat().st_size > 1000


def test_the_steps_of_the_training_example_are_commands_that_exist() -> None:
    text = (EXAMPLES / "train_on_a_folder.sh").read_text()
    for line in re.findall(r"^cageclock-train (\w+) (.*)$", text, re.MULTILINE):
        shown = subprocess.run(
            [sys.executable, "-m", "training.cli", line[0], "--help"], capture_output=True, text=True, cwd=REPOSITORY
        ).stdout
        for option in re.findall(r"--[a-z-]+", line[1]):
            assert option in shown, f"{line[0]} {option}"
