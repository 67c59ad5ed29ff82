"""Real mice: a locator trained for a minute finds them, and the demo's age model gives no number for them."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge.contract.bundle.bundle import read_bundle
from edge.contract.bundle.demo import DEMO_BUNDLE
from station.store.body import unpack_body
from tests.harness.mosquitto import Mosquitto
from tests.harness.waiting import wait_until
from tests.system.cage import Cage
from tests.training.conftest import ROOT, command
from training.networks.shapes import centres_spec

FOOTAGE = Path(os.environ.get("CAGECLOCK_SHARED_DATA", ROOT.parent / "shared/data")) / "openfield"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.broker,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not FOOTAGE.is_dir(), reason="the open-field footage is not on this machine"),
    pytest.mark.skipif(not DEMO_BUNDLE.exists(), reason="the demo bundle has not been made"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run on the labelled frames."""
    folder = tmp_path_factory.mktemp("own")
    done = command("locator", "--dlc", FOOTAGE, "--out", folder, "--steps", 200, "--centre-steps", 260)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_short_training_is_already_near(trained: Path) -> None:
    """On labelled frames it has not seen, the mean error is some pixels of a mouse that spans about 117."""
    report = json.loads((trained / "locator-report.json").read_text())
    assert report["held_out_frames"] == 18
    assert report["mean_error_px"] < 9
    bundle = read_bundle(trained / "own-locator.bundle", [(trained / "key.pub").read_bytes()])
    assert bundle.manifest.centres.threshold == report["centre_threshold"] != centres_spec().threshold
    assert report["centre_recall"] >= 0.8


def test_the_mouse_in_the_video_is_found_and_its_age_is_not_told(trained: Path, tmp_path: Path) -> None:
    """Capture replays the video, publish and a station log it: the mouse is found, no reading has an age."""
    video = next((FOOTAGE / "videos").iterdir())
    with Mosquitto(tmp_path / "broker") as broker:
        cage = Cage(
            tmp_path / "cage",
            broker.port,
            cage={"subject": "m3v1"},
            camera={
                **{"backend": "replay", "width": 640, "height": 480, "small_width": 320, "px_per_mm": 1.3},
                "replay": {"path": str(video), "every": 90},
            },
            bundle={"path": str(trained / "own-locator.bundle"), "trusted_keys": [str(trained / "key.pub")]},
        )
        with cage.station(), cage.publish():
            code, said = cage.capture(24)
            assert (code, said) == (0, [])
            assert cage.arrives()
            assert wait_until(lambda: len(cage.stored_pictures()) == 24)
    with closing(sqlite3.connect(cage.data / "station.db")) as database:
        rows = database.execute("SELECT body FROM records ORDER BY epoch, seq").fetchall()
    records = [json.loads(unpack_body(body)) for (body,) in rows]
    readings = [record for record in records if "outcome" in record]
    assert len(readings) == 24
    found = [reading for reading in readings if reading["outcome"] == "ok" and reading["animals"]]
    assert len(found) >= 20
    assert all(reading["age_days"] is None and not reading["accepted"] for reading in readings)
    reasons = [set(animal["reject_reasons"]) for reading in found for animal in reading["animals"]]
    assert sum("out_of_domain" in one for one in reasons) >= 0.9 * len(reasons)
    assert all("scale_too_coarse" in one for one in reasons)


def test_the_contact_sheet_shows_what_was_found(trained: Path, tmp_path: Path) -> None:
    """`contact-sheet` writes a picture of the video's frames with what was found in them."""
    video = next((FOOTAGE / "videos").iterdir())
    sheet = tmp_path / "sheet.png"
    done = command(
        "contact-sheet",
        *("--bundle", trained / "own-locator.bundle", "--trust", trained / "key.pub"),
        *("--source", video, "--px-per-mm", 1.3, "--frames", 4, "--out", sheet),
    )
    assert done.returncode == 0, done.stderr
    assert sheet.stat().st_size > 20_000
