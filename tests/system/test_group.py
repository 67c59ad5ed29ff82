"""Three animals in one cage, from the camera to the lab's curve: nobody is named whom nothing tells apart."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.contract import jsontext
from edge.contract.bundle.demo import DEMO_BUNDLE
from edge.contract.status import Health, Info
from edge.contract.summary import Summary
from station.store.body import unpack_body
from station.store.picture import read_exif_identity
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.system.cage import REPOSITORY, ROOT, Cage

CAPTURES = 14

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not DEMO_BUNDLE.exists(), reason="the demo bundle has not been made"),
]


def retained(port: int, topics: tuple[str, ...]) -> dict[str, bytes]:
    """Return the retained payloads of these topics below the device's root, as soon as all are there."""
    found: dict[str, bytes] = {}
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: found.update({message.topic: message.payload})
    client.connect("127.0.0.1", port)
    client.subscribe(f"{ROOT}/#")
    client.loop_start()
    try:
        wait_until(lambda: all(f"{ROOT}/{topic}" in found for topic in topics))
    finally:
        client.disconnect()
        client.loop_stop()
    return {topic: found[f"{ROOT}/{topic}"] for topic in topics}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory):
    """A cage of three whose readings are all at the station; the payloads that its device retained."""
    folder = tmp_path_factory.mktemp("group")
    with Mosquitto(folder / "broker") as broker:
        cage = Cage(
            folder / "cage",
            broker.port,
            cage={"id": "c7", "animals": 3, "subject": None, "strain": "C57BL/6J"},
            camera={"width": 640, "height": 480, "small_width": 320, "px_per_mm": 4.0}
            | {"simulated": {"seed": 5, "age_days_at_start": 200}},
            bundle={"path": str(DEMO_BUNDLE), "trusted_keys": None},
            schedule={"interval_dark_s": 3600},
            archive={"enabled": True},
            mqtt={"health_interval_s": 1.0},
        )
        with cage.station(), cage.publish():
            assert cage.capture(CAPTURES, "--stepped-from", "2026-01-01T18:30:00+00:00") == (0, [])
            assert cage.arrives()
            payloads = retained(broker.port, ("summary/c7", "info", "health", "latest"))
            wait_until(lambda: seen_in(retained(broker.port, ("summary/c7",))["summary/c7"]) == CAPTURES)
            wait_until(lambda: len(cage.stored_pictures()) == CAPTURES)
            payloads |= retained(broker.port, ("summary/c7", "info", "health"))
        yield cage, payloads


def seen_in(summary: bytes) -> int:
    """Return how many captures its week counts; it follows the last reading within moments."""
    return jsontext.decode(summary, Summary).windows[1].captures


def readings_of(cage: Cage) -> list[dict]:
    with closing(sqlite3.connect(cage.data / "station.db")) as database:
        rows = database.execute("SELECT body FROM records ORDER BY epoch, seq").fetchall()
    return [record for (body,) in rows if "outcome" in (record := json.loads(unpack_body(body)))]


def test_each_animal_is_there_with_its_parts_and_without_a_name(lab) -> None:
    cage, _ = lab
    readings = readings_of(cage)
    assert len(readings) == CAPTURES
    several = [reading for reading in readings if len(reading["animals"]) > 1]
    assert len(several) >= CAPTURES / 3
    for reading in several:
        assert reading["age_days"] is None  # no single number for a group
        assert reading["expected_animals"] == 3
        for animal in reading["animals"]:
            x0, y0, x1, y1 = animal["box"]
            assert 0 <= x0 < x1 <= 640
            assert 0 <= y0 < y1 <= 480
            assert {point["part"] for point in animal["keypoints"]} >= {"snout", "tail_base"}
            assert (animal["subject"], animal["identity_method"]) == (None, "none")
            assert animal["accepted"] == (animal["age_days"] is not None) == (animal["reject_reasons"] == [])
            assert len(animal["estimate"]["distribution"]) > 10  # kept beside a refusal too


def test_each_reading_has_the_animals_hour_and_phase(lab) -> None:
    """The light goes on at 7: the first picture is taken in the light at 11.5 hours, the next ones in the dark."""
    cage, _ = lab
    readings = readings_of(cage)
    for reading in readings:
        at = datetime.fromisoformat(reading["captured_at"])
        hour = (at.hour - 7 + at.minute / 60 + (at.second + at.microsecond / 1e6) / 3600) % 24
        assert reading["zeitgeber_h"] == pytest.approx(hour, abs=1e-6)
        assert reading["light"] == ("light" if hour < 12 else "dark")
    assert readings[0]["zeitgeber_h"] == pytest.approx(11.5)


def test_each_picture_in_the_lab_carries_its_readings_identity(lab) -> None:
    """In EXIF, so that a file that was moved or mailed can still be identified."""
    cage, _ = lab
    pictures = {path.stem: path.read_bytes() for path in cage.data.rglob("*.jpg")}
    by_digest = {hashlib.sha256(jpeg).hexdigest(): read_exif_identity(jpeg) for jpeg in pictures.values()}
    readings = readings_of(cage)
    assert set(by_digest) == {reading["thumbnail"]["sha256"] for reading in readings}
    for reading in readings:
        identity = by_digest[reading["thumbnail"]["sha256"]]
        assert identity is not None
        assert identity["device_id"] == "cage07"
        assert datetime.fromisoformat(identity["captured_at"]) == datetime.fromisoformat(reading["captured_at"])
    assert len({(identity["epoch"], identity["seq"]) for identity in by_digest.values() if identity}) == CAPTURES


def test_the_archive_holds_the_crop_of_each_estimate(lab) -> None:
    cage, _ = lab
    animals = [animal for reading in readings_of(cage) for animal in reading["animals"]]
    assert all(len(animal["crop_sha256"]) == 1 for animal in animals)
    named = {digest for animal in animals for digest in animal["crop_sha256"]}
    assert named == {path.stem for path in (cage.state / "archive").iterdir()}


def test_the_summary_is_the_cages(lab) -> None:
    """Two animals accepted in one capture are two readings of the cage."""
    cage, payloads = lab
    summary = jsontext.decode(payloads["summary/c7"], Summary)
    assert (summary.subject, summary.identity_method) == (None, "none")
    assert [window.kind for window in summary.windows] == ["day", "week"]
    accepted = [animal["accepted"] for reading in readings_of(cage) for animal in reading["animals"]]
    week = summary.windows[1]
    assert (week.captures, week.readings) == (CAPTURES, sum(accepted))
    assert (week.age_days is None) == (week.readings == 0)


def test_info_and_health_speak_of_this_device(lab) -> None:
    _, payloads = lab
    info, health = jsontext.decode(payloads["info"], Info), jsontext.decode(payloads["health"], Health)
    assert info.device_id == health.device_id == "cage07"


def test_the_lab_draws_one_curve_for_the_cage(lab, tmp_path: Path) -> None:
    cage, _ = lab
    picture = tmp_path / "curves.png"
    command = ["-m", "station.cli", "show", "--data", str(cage.data), "--png", str(picture)]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "cage c7 (animals not told apart)" in done.stdout
    assert picture.stat().st_size > 5_000
