"""The doctor says of each thing whether it is well, and what to do where it is not."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from edge.config.load import load_config, parse_config
from edge.config.tree import Config
from edge.doctor.broker import check_broker
from edge.doctor.camera import check_camera
from edge.doctor.machine import check_clock, check_disk, check_permissions
from edge.doctor.model import check_model
from edge.doctor.run import run
from edge.timing.clock import SteppedClock
from tests.edge.publish.lab import Logger, Publish
from tests.harness.mosquitto import Mosquitto, free_port
from tests.harness.waiting import wait_until

TESTS = Path(__file__).parents[2]
TINY = TESTS / "data" / "tiny.bundle"
CLOCK = SteppedClock(datetime(2024, 1, 1, 12, tzinfo=UTC))


def config_of(tmp_path: Path, camera: str = "backend: simulated, width: 320, height: 240", more: str = "") -> Config:
    return parse_config(
        f"device_id: cage07\nstate_dir: {tmp_path}\ncage: {{id: cage07}}\ncamera: {{{camera}}}\n"
        f"bundle: {{path: {TINY}, trusted_keys: [{TINY.with_suffix('.pub')}]}}\n{more}"
    )


def test_a_camera_that_delivers_is_well(tmp_path: Path) -> None:
    finding = check_camera(config_of(tmp_path), CLOCK)
    assert finding.ok
    assert "320x240, a fresh frame" in finding.text


@pytest.mark.parametrize(
    ("camera", "text"),
    [
        ("backend: replay, replay: {path: /none}", "does not exist"),
        ("backend: simulated, width: 320, height: 240, simulated: {faults: {1: timeout}}", "no frame"),
        ("backend: simulated, width: 320, height: 240, simulated: {faults: {1: busy}}", "another process"),
        ("backend: simulated, width: 320, height: 240, simulated: {faults: {1: stale}}", "before its trigger"),
    ],
)
def test_a_camera_that_does_not_deliver_fails_with_advice(tmp_path: Path, camera: str, text: str) -> None:
    finding = check_camera(config_of(tmp_path, camera), CLOCK)
    assert not finding.ok
    assert text in finding.text
    assert finding.advice


def test_a_model_is_well_when_its_golden_outputs_are_met(tmp_path: Path) -> None:
    finding = check_model(config_of(tmp_path))
    assert finding.ok, finding.line()
    assert "golden outputs met" in finding.text
    assert "no meaning" in finding.text


def test_a_model_that_is_missing_or_changed_fails(tmp_path: Path) -> None:
    whole = TINY.read_bytes()
    middle = len(whole) // 2
    for content in (
        None,
        whole[:middle] + bytes(byte ^ 1 for byte in whole[middle : middle + 64]) + whole[middle + 64 :],
    ):
        other = tmp_path / "other.bundle"
        if content is not None:
            other.write_bytes(content)
        text = f"bundle: {{path: {other}, trusted_keys: [{TINY.with_suffix('.pub')}]}}"
        changed = parse_config(
            f"device_id: cage07\nstate_dir: {tmp_path}\ncage: {{id: cage07}}\ncamera: {{backend: simulated}}\n{text}\n"
        )
        finding = check_model(changed)
        assert not finding.ok
        assert finding.advice


def test_a_broker_is_well_when_a_message_goes_there_and_back(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "broker")
    broker.start()
    try:
        for version in ("5", "3.1.1"):
            finding = check_broker(config_of(tmp_path, more=f'mqtt: {{port: {broker.port}, version: "{version}"}}\n'))
            assert finding.ok, finding.line()
            assert "there and back" in finding.text
    finally:
        broker.kill()


def test_an_absent_broker_fails_and_nothing_is_lost(tmp_path: Path) -> None:
    finding = check_broker(config_of(tmp_path, more=f"mqtt: {{port: {free_port()}}}\n"))
    assert not finding.ok
    assert "readings are kept" in finding.advice


def test_a_wrong_password_is_said_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("")
    broker = Mosquitto(tmp_path / "broker", f"allow_anonymous false\npassword_file {tmp_path / 'none'}\n")
    broker.start()
    (tmp_path / "password").write_text("hunter2\n")
    more = f"mqtt: {{port: {broker.port}, username: cage07, password_file: {tmp_path / 'password'}}}\n"
    try:
        finding = check_broker(config_of(tmp_path, more=more))
    finally:
        broker.kill()
    assert not finding.ok
    assert "refused the connection" in finding.text
    assert "hunter2" not in finding.line()


def test_a_denied_topic_is_said_with_the_access_rule(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic write cageclock/v1/another/#\n")
    broker = Mosquitto(tmp_path / "broker", f"allow_anonymous true\nacl_file {tmp_path / 'acl'}\n")
    broker.start()
    try:
        finding = check_broker(config_of(tmp_path, more=f"mqtt: {{port: {broker.port}}}\n"))
    finally:
        broker.kill()
    assert not finding.ok
    assert "pattern write" in finding.advice


def test_a_secret_that_everybody_can_read_fails(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2")
    config = config_of(tmp_path, more=f"mqtt: {{username: a, password_file: {secret}}}\n")
    secret.chmod(0o644)
    assert "read by every user" in check_permissions(config).text
    secret.chmod(0o640)
    assert check_permissions(config).ok
    secret.unlink()
    assert "does not exist" in check_permissions(config).text


def test_a_disk_with_too_little_room_fails(tmp_path: Path) -> None:
    assert check_disk(config_of(tmp_path)).ok
    finding = check_disk(config_of(tmp_path, more="outbox: {min_free_mb: 1000000000}\n"))
    assert not finding.ok
    assert "outbox.min_free_mb" in finding.advice


def test_a_synchronised_clock_is_well() -> None:
    assert check_clock(CLOCK).ok


def test_the_whole_doctor_reports_every_check_and_its_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(config_of(tmp_path, more=f"mqtt: {{port: {free_port()}}}\n"), as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert code == 1
    assert report["ok"] is False
    names = [check["name"] for check in report["checks"]]
    assert names == ["permissions", "disk", "clock", "camera", "model", "broker"]
    failed = [check for check in report["checks"] if not check["ok"]]
    assert all(check["advice"] for check in failed)


def test_while_publish_runs_it_is_asked_and_its_reason_is_given(tmp_path: Path) -> None:
    """A connection of the doctor's own would push publish off a broker that knows clients by their certificate."""
    with Publish(tmp_path, free_port()) as publish:
        config = load_config(publish.config)
        wait_until(lambda: "publish is not connected since" in check_broker(config).text)
        wait_until(lambda: "nobody listens there" in check_broker(config).text)
        finding = check_broker(config)
        assert not finding.ok
        assert "publish is not connected since" in finding.text
        other = msgspec.structs.replace(config, mqtt=msgspec.structs.replace(config.mqtt, keepalive_s=33))
        assert "publish runs with other settings" in check_broker(other).text
        publish.kill()
    assert "nobody listens there" in check_broker(config).text  # nobody holds the lock any more: it looks for itself


def test_what_the_broker_denies_publish_is_said(tmp_path: Path) -> None:
    acl = b"topic read cageclock/#\n"
    with Mosquitto(tmp_path / "broker", "acl_file {folder}/acl", files={"acl": acl}) as broker:
        with Publish(tmp_path, broker.port, station=None) as publish:
            config = load_config(publish.config)
            wait_until(lambda: "refuses what this device publishes" in check_broker(config).text)
            finding = check_broker(config)
            assert not finding.ok
            assert "access list" in finding.line()
            assert publish.stop() == 0


def test_a_user_without_rights_is_told_so_and_never_connects_in_publishs_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "publish").mkdir()
    (state / "publish/delivery.lock").write_text("1\n")
    config = config_of(state)
    run(config)  # as whoever may: what is imported late is there afterwards
    capsys.readouterr()
    for folder in (state / "publish", state):
        folder.chmod(0)
    before = os.geteuid()
    try:
        if before == 0:
            os.seteuid(65534)
        assert run(config) == 1
    finally:
        os.seteuid(before)
        for folder in (state, state / "publish"):
            folder.chmod(0o755)
    lines = {line.split()[1]: line for line in capsys.readouterr().out.splitlines()}
    for name in ("permissions", "broker"):
        assert lines[name].startswith("FAIL")
        assert "run it as the user whose it is" in lines[name] or "sudo -u cageclock-capture" in lines[name]
    assert "report it" not in "".join(lines.values())


def test_a_station_that_was_never_seen_is_said_with_and_without_publish(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        alone = config_of(tmp_path, more=f"mqtt: {{port: {broker.port}, host: 127.0.0.1, station: lab}}\n")
        finding = check_broker(alone)
        assert not finding.ok
        assert "a station named lab was never seen there" in finding.text
        with Publish(tmp_path / "device", broker.port) as publish:
            config = load_config(publish.config)
            wait_until(lambda: "never seen" in check_broker(config).text)
            logger = Logger(broker.port)
            wait_until(lambda: check_broker(config).ok)
            logger.close()
        assert check_broker(alone).ok
