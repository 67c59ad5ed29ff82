"""`check` reports everything that is wrong at once, and refuses what could only fail later."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.cli import main
from edge.config.example import EXAMPLE
from edge.config.load import parse_config
from edge.config.problems import check_text
from edge.errors import ConfigError, OperatorError
from station.ingest.settings import load_settings

MINIMAL = "device_id: cage07\nstate_dir: /tmp/x\ncage: {id: cage07}\ncamera: {backend: simulated, px_per_mm: 4}\n"


def paths(text: str) -> list[str]:
    """Return the paths of all errors."""
    return [error.path for error in check_text(text).errors]


def test_every_error_is_reported_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "device_id: Cage 07\nstate_dir: relative\ncage: {animals: -1}\n"
        "camera: {backend: webcam, px_per_mm: 400, colour: red}\n"
        "schedule: {interval_light_s: ten, windows: [{from_h: 25, until_h: 3, usable_readings: 1, interval_s: 60}]}\n"
        "light_cycle: {lights_off: '19:00', zone: Mars/Olympus}\n"
        "mqtt: {host: 'mqtt://broker.lab', port: 70000, password: hunter2, tls: {certificate: /x}}\n"
    )
    expected = {
        "device_id",
        "state_dir",
        "cage.id",
        "cage.animals",
        "camera.backend",
        "camera.colour",
        "camera.px_per_mm",
        "schedule.interval_light_s",
        "schedule.windows[0].from_h",
        "light_cycle.lights_off",
        "light_cycle.zone",
        "mqtt.host",
        "mqtt.port",
        "mqtt.password",
        "mqtt.tls.ca",
        "mqtt.tls.key",
    }
    found = paths(text)
    assert set(found) == expected
    assert len(found) == len(expected)
    (tmp_path / "device.yaml").write_text(text)
    for words in (["check", str(tmp_path / "device.yaml")], ["check", "--config", str(tmp_path / "device.yaml")]):
        assert main(words) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == len(expected)
        assert all(line.startswith(f"cageclock: {tmp_path / 'device.yaml'}") for line in said)
        assert {line.split(", line ")[1].split(":")[0] for line in said if ", line " in line} == set("1234567")
        assert "hunter2" not in "".join(said)
    assert main(["check"]) == 2


def test_what_a_wrong_key_leaves_behind_is_no_second_error() -> None:
    assert paths(MINIMAL.replace("simulated", "replay, replay: {path: 5}")) == ["camera.replay.path"]
    assert paths("") == ["(the file)"]
    assert len(paths("device_id: [")) == 1
    assert check_text(MINIMAL).config == parse_config(MINIMAL)
    assert check_text(MINIMAL).warnings == ()
    assert check_text(EXAMPLE).errors == ()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mqtt://broker.lab", "without the scheme: broker.lab"),
        ("broker.lab:1883", r"only the host \(broker\.lab\), with the port in the setting `port`"),
        (" broker.lab ", "without blanks"),
        ("broker lab", "without blanks"),
        ("", "such as broker.lab"),
        ("[::1]", "without brackets"),
        ("broker.lab/mqtt", "without a path"),
        ("192.168.1.300", "four numbers"),
        ("broker..lab", "such as broker.lab"),
        ("-broker", "such as broker.lab"),
    ],
)
def test_a_host_that_is_none_is_refused_by_device_and_station(host: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        parse_config(MINIMAL + f"mqtt: {{host: '{host}'}}\n")
    assert caught.value.path == "mqtt.host"
    with pytest.raises(OperatorError, match=expected):
        load_settings(None, {"name": "lab1", "data": "/x", "host": host})


@pytest.mark.parametrize(
    "host", ["localhost", "broker.lab", "broker.lab.", "192.168.1.20", "::1", "fe80::1%eth0", "b_1"]
)
def test_a_host_that_is_one_is_taken(host: str) -> None:
    assert parse_config(MINIMAL + f"mqtt: {{host: '{host}'}}\n").mqtt.host == host


@pytest.mark.parametrize("prefix", ["ha/+", "#", "ha/#", "", "/ha", "ha/", "a//b", "h a", "$SYS", "a\\0"])
def test_a_prefix_that_nothing_can_be_published_under_is_refused(prefix: str) -> None:
    text = prefix.replace("\\0", "\\u0001")
    assert paths(MINIMAL + f'mqtt: {{home_assistant: true, home_assistant_prefix: "{text}"}}\n') == [
        "mqtt.home_assistant_prefix"
    ]


@pytest.mark.parametrize(
    ("windows", "overlap"),
    [
        ([(1, 3), (2, 4)], True),
        ([(1, 3), (3, 4)], False),
        ([(22, 2), (1, 3)], True),
        ([(22, 2), (2, 22)], False),
        ([(23, 1), (22, 23.5)], True),
        ([(1, 5), (6, 7), (2, 3)], True),
    ],
)
def test_windows_that_overlap_are_refused(windows: list[tuple[float, float]], overlap: bool) -> None:
    listed = ", ".join(
        f"{{from_h: {begin}, until_h: {end}, usable_readings: 1, interval_s: 60}}" for begin, end in windows
    )
    found = paths(MINIMAL + f"schedule: {{windows: [{listed}]}}\n")
    assert found == ([f"schedule.windows[{len(windows) - 1}].from_h"] if overlap else [])


@pytest.mark.parametrize(
    ("scale", "taken"), [(0.25, False), (1, True), (4, True), (30, True), (50, False), (1e-9, False)]
)
def test_a_scale_that_no_cage_has_is_refused(scale: float, taken: bool) -> None:
    assert paths(MINIMAL.replace("px_per_mm: 4", f"px_per_mm: {scale}")) == ([] if taken else ["camera.px_per_mm"])


def test_an_exposure_beyond_the_waits_is_refused() -> None:
    text = MINIMAL.replace("px_per_mm", "picamera: {light: {exposure_us: 6000000}, settle_timeout_s: 5}, px_per_mm")
    assert paths(text) == ["camera.picamera.light.exposure_us"]
    assert paths(text.replace("settle_timeout_s: 5", "settle_timeout_s: 7")) == []


def test_another_word_for_a_key_is_named_with_its_meaning() -> None:
    (error,) = check_text(MINIMAL + "light_cycle: {lights_off: '19:00'}\n").errors
    assert "light_hours (how many hours the light stays on" in error.expected


def test_a_password_in_clear_to_another_host_and_no_scale_are_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "device.yaml"
    path.write_text(
        MINIMAL.replace(", px_per_mm: 4", "") + "mqtt: {host: broker.lab, username: a, password_file: /p}\n"
    )
    assert main(["check", str(path)]) == 0
    said = capsys.readouterr().err
    assert "warning: mqtt.password_file: the password goes over the network to broker.lab in clear" in said
    assert "warning: camera.px_per_mm: not set" in said
    for host in ("localhost", "127.0.0.1"):
        assert check_text(MINIMAL + f"mqtt: {{host: {host}, username: a, password_file: /p}}\n").warnings == ()
