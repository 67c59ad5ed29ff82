"""What goes wrong is said in one line that tells what to do, and when the cause is gone nothing is missing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.child import Child, python
from tests.harness.mosquitto import Mosquitto, free_port, hash_password
from tests.harness.waiting import wait_until
from tests.system.cage import BUNDLE, DEVICE, ROOT, Cage, lines_of

pytestmark = pytest.mark.broker


def about(child: Child | list[str], *words: str) -> list[str]:
    """Return the lines that hold every word."""
    lines = lines_of(child) if isinstance(child, Child) else child
    return [line for line in lines if all(word in line for word in words)]


def said_once(child: Child, *words: str, for_s: float = 3.0) -> str:
    """Wait for the line, then let tries go by, and return the line: it came once."""
    wait_until(lambda: about(child, *words))
    time.sleep(for_s)
    found = about(child, *words)
    assert len(found) == 1, found
    assert len(lines_of(child)) <= 3, lines_of(child)
    return found[0]


def test_an_absent_broker(tmp_path: Path) -> None:
    cage = Cage(tmp_path, free_port())
    code, lines = cage.capture(3)
    assert (code, lines) == (0, [])
    with cage.publish() as publish:
        line = said_once(publish, "no broker at")
        assert f"127.0.0.1:{cage.port}" in line
        assert "mqtt.host" in line
        with Mosquitto(tmp_path / "broker", port=cage.port), cage.station():
            cage.arrives()


def test_a_wrong_password(tmp_path: Path) -> None:
    users = hash_password(tmp_path / "hash", DEVICE, "right") + hash_password(tmp_path / "hash", "lab", "lab")
    settings = "allow_anonymous false\npassword_file {folder}/users\n"
    secret, lab = tmp_path / "password", tmp_path / "lab-password"
    secret.write_text("very-wrong-secret\n")
    lab.write_text("lab\n")
    with Mosquitto(tmp_path / "broker", settings, files={"users": users}) as broker:
        cage = Cage(tmp_path, broker.port, mqtt={"username": DEVICE, "password_file": str(secret)})
        cage.capture(2)
        with cage.publish() as publish, cage.station("--username", "lab", "--password-file", str(lab)):
            line = said_once(publish, "refused the login")
            assert DEVICE in line
            assert str(secret) in line
            assert "very-wrong-secret" not in "".join(lines_of(publish))
            secret.write_text("right\n")
            cage.arrives()


ALLOWED = f"""topic readwrite cageclock/v1/station/#
topic read {ROOT}/#
topic write {ROOT}/availability
"""


def test_a_denied_topic(tmp_path: Path) -> None:
    files = {"acl": ALLOWED.encode()}
    with Mosquitto(tmp_path / "broker", "acl_file {folder}/acl", files=files) as broker:
        cage = Cage(tmp_path, broker.port)
        cage.capture(2)
        with cage.publish() as publish, cage.station():
            line = said_once(publish, "denies")
            assert f"write access to {ROOT}/#" in line
            assert cage.logged() == set()
            broker.stop()
            (broker.folder / "acl").write_text("topic readwrite cageclock/#\n")
            broker.start()
            cage.arrives()
            wait_until(lambda: cage.pictures() <= cage.stored_pictures())


def test_an_oversized_thumbnail(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker", "max_packet_size 8000") as broker:
        cage = Cage(tmp_path, broker.port, thumbnail={"jpeg_quality": 95, "max_kb": 64})
        cage.capture(4)
        assert min(file.stat().st_size for file in (cage.state / "thumbnails").iterdir()) > 8000
        with cage.publish() as publish, cage.station():
            cage.arrives()
            line = said_once(publish, "thumbnail", "stays on the device")
            assert "thumbnail.max_kb" in line
            cage.change(thumbnail={"jpeg_quality": 50, "max_kb": 4})
            before = cage.pictures()
            assert cage.capture(2)[0] == 0
            cage.arrives()
            wait_until(lambda: cage.pictures() - before <= cage.stored_pictures())
            assert len(about(publish, "stays on the device")) == 1
        assert cage.pictures() >= before, "they are still on the device"


def test_a_missing_model(tmp_path: Path) -> None:
    bundle = tmp_path / "mine.bundle"
    with Mosquitto(tmp_path / "broker") as broker:
        cage = Cage(tmp_path, broker.port, bundle={"path": str(bundle)})
        code, lines = cage.capture(3)
        assert code == 2
        assert len(lines) == 1
        assert "bundle.path" in lines[0]
        assert str(bundle) in lines[0]
        assert cage.outcomes() == ["model_fault"] * 3
        bundle.write_bytes(BUNDLE.read_bytes())
        code, lines = cage.capture(2)
        assert (code, lines) == (0, [])
        with cage.publish(), cage.station():
            cage.arrives()


def test_a_missing_camera(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        cage = Cage(tmp_path, broker.port, camera={"backend": "picamera"})
        code, lines = cage.capture(3)
        assert code == 4
        assert len(lines) == 1, lines
        assert "python3-picamera2" in lines[0]
        assert set(cage.outcomes()) == {"camera_fault"}
        cage.change(camera={"backend": "simulated"})
        assert cage.capture(2)[0] == 0
        with cage.publish(), cage.station():
            cage.arrives()


def test_a_missing_film(tmp_path: Path) -> None:
    cage = Cage(tmp_path, 1, camera={"backend": "replay", "replay": {"path": str(tmp_path / "nowhere")}})
    code, lines = cage.capture(3)
    assert code == 2
    assert len(lines) == 1, lines
    assert str(tmp_path / "nowhere") in lines[0]
    assert cage.appended() == set()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("a small disk needs root to mount it")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave not one byte free."""
    filler = folder / f"filler-{time.monotonic_ns()}"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(b"0" * size) == size:
                    pass
    return filler


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        cage = Cage(tmp_path, broker.port, state_dir=str(small_disk / "state"))
        cage.state = small_disk / "state"
        assert cage.capture(2) == (0, [])
        filler = fill(small_disk)
        code, lines = cage.capture(4)
        assert code == 0
        assert len(lines) == 1, lines
        assert str(cage.state) in lines[0]
        assert "no space left on the disk; free some, or lower outbox.max_mb" in lines[0]
        assert len(cage.outcomes()) == 6, "each due slot has its reading"
        fillers = [filler, fill(small_disk)]
        code, lines = cage.capture(2)
        assert len(lines) == 1, lines
        assert "no space left on the disk; free some, or lower outbox.max_mb" in lines[0]
        with cage.publish() as publish, cage.station():
            line = said_once(publish, "no space left on the disk", for_s=9)
            assert "nothing is lost" in line
            for path in fillers:
                path.unlink()
            cage.arrives()
            assert cage.capture(2)[0] == 0
            cage.arrives()
            assert "disk_full" in cage.events()
            assert "disk_recovered" in cage.events()
            assert publish.stop() == 0


UNREADABLE = {
    "missing": (None, "cageclock init"),
    "a folder": ("", "Is a directory"),
    "no text": (b"\xff\xfe\x00", "UTF-8"),
    "no YAML": (b"device_id: [\n", "line 2"),
    "misspelt": (b"device_id: a\nmqtt: {hots: x}\n", "did you mean 'host'"),
    "a number that is text": (b"device_id: a\ncamera: {backend: simulated, width: wide}\n", "camera.width"),
    "empty": (b"", "got an empty file"),
}


@pytest.mark.parametrize("command", ["capture", "publish"])
@pytest.mark.parametrize("case", UNREADABLE)
def test_an_unreadable_settings_file(tmp_path: Path, command: str, case: str) -> None:
    content, expected = UNREADABLE[case]
    path = tmp_path / "device.yaml"
    if content == "":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with Child(python("-m", "edge.cli", command, "--config", path), tmp_path / "log") as child:
        assert child.ended() == 2
    lines = lines_of(child)
    assert len(lines) == 1, lines
    assert re.match(rf"cageclock: {re.escape(str(path))}(, line \d+)?: ", lines[0])
    assert expected in lines[0]
