"""The settings file: one frozen tree, or one clear error that names the key."""

from pathlib import Path

import pytest

from edge.config.load import config_sha256, load_config, parse_config
from edge.config.tree import Config
from edge.errors import ConfigError, OperatorError

MINIMAL = "device_id: cage07\nstate_dir: /tmp/x\ncage: {id: cage07}\ncamera: {backend: simulated}\n"


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert caught.value.exit_code == 2
    return caught.value


def test_the_smallest_file_gives_a_whole_tree() -> None:
    config = parse_config(MINIMAL)
    assert (config.device_id, config.camera.width, config.mqtt.port) == ("cage07", 1456, 1883)


@pytest.mark.parametrize(
    ("added", "path", "expected", "got"),
    [
        ("camrea: {}", "camrea", "did you mean 'camera'?", "unknown key 'camrea'"),
        ("schedule: {interval_ligth_s: 5}", "schedule.interval_ligth_s", "'interval_light_s'", "unknown"),
        ("schedule: {xyz: 5}", "schedule.xyz", "one of interval_light_s", "'xyz'"),
        ("schedule: {interval_light_s: ten}", "schedule.interval_light_s", "a number", "'ten'"),
        ("schedule: {interval_light_s: 0}", "schedule.interval_light_s", "at least 1", "0"),
        ("schedule: {interval_dark_s: 50000}", "schedule.interval_dark_s", "the dark phase's 12 hours", "50000"),
        ("outbox: {max_mb: 1.5}", "outbox.max_mb", "a whole number", "1.5"),
        ("mqtt: {version: '4'}", "mqtt.version", "one of 5, 3.1.1", "'4'"),
        ("mqtt: {port: 70000}", "mqtt.port", "at most 65535", "70000"),
        ("mqtt: {home_assistant: yes}", "mqtt.home_assistant", "true or false", "'yes'"),
        ("mqtt: {tls: {ca: /x, certificate: /y}}", "mqtt.tls.key", "together", "nothing"),
        ("mqtt: {tls: {}}", "mqtt.tls.ca", "this key to be given", "nothing"),
        ("mqtt: {password: hunter2}", "mqtt.password", "no secret in this file", "not shown"),
        ("mqtt: {password_file: /p}", "mqtt.username", "beside mqtt.password_file", "nothing"),
        ("light_cycle: {lights_on: 7:00}", "light_cycle.lights_on", "a clock time HH:MM", "'7:00'"),
        ("light_cycle: {lights_on: 700}", "light_cycle.lights_on", "text (put it in quotes)", "700"),
        ("light_cycle: {zone: Mars/Olympus}", "light_cycle.zone", "IANA", "'Mars/Olympus'"),
        ("light_cycle: {zone: '+25:00'}", "light_cycle.zone", "fixed offset", "'+25:00'"),
        ("quality: {min_contrast: .nan}", "quality.min_contrast", "a number", "'.nan'"),
        ("quality: {min_contrast: .inf}", "quality.min_contrast", "a number", "'.inf'"),
        ("outbox: {max_mb: 0o777}", "outbox.max_mb", "a whole number", "'0o777'"),
        ("outbox: {max_mb: 0777}", "outbox.max_mb", "a whole number", "'0777'"),
        ("outbox: {max_mb: 1_000}", "outbox.max_mb", "a whole number", "'1_000'"),
        ("outbox: {max_mb: 19:00}", "outbox.max_mb", "a whole number", "'19:00'"),
        (
            "schedule: {windows: [{from_h: 13, until_h: 13, usable_readings: 1, interval_s: 60}]}",
            "schedule.windows[0].until_h",
            "another hour",
            "13",
        ),
        (
            "schedule: {windows: [{from_h: 23.5, until_h: 0.5, usable_readings: 1, interval_s: 4000}]}",
            "schedule.windows[0].interval_s",
            "the window's 1 hours",
            "4000",
        ),
        (
            "schedule: {windows: [{from_h: 13, until_h: 14, usable_reading: 1, interval_s: 60}]}",
            "schedule.windows[0].usable_reading",
            "'usable_readings'",
            "unknown",
        ),
        ("mqtt: 3", "mqtt", "a section of keys", "3"),
        ("outbox: {max_mb: 20, max_mb: 30}", "outbox.max_mb", "each key once", "twice"),
        ("device_id: cage08", "device_id", "each key once", "lines 1 and 5"),
        ("mqtt: &a {port: 1}", "line 5", "plain values", "an anchor"),
        ("mqtt: {port: !!python/object:os.system 1}", "line 5, column 14", "YAML", "constructor"),
        ("mqtt: {port: [", "line 6, column 1", "YAML", ""),
    ],
)
def test_a_wrong_key_is_named_with_what_was_expected_and_what_came(
    added: str, path: str, expected: str, got: str
) -> None:
    error = refusal(MINIMAL + added + "\n")
    assert error.path == path
    assert expected in error.expected
    assert got in error.got
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (MINIMAL.replace("device_id: cage07", "device_id: Cage 07"), "device_id"),
        (MINIMAL.replace("device_id: cage07", "device_id: station"), "device_id"),
        (MINIMAL.replace("device_id: cage07", "device_id: operator"), "device_id"),
        (MINIMAL.replace("device_id: cage07", "device_id: dashboard-2"), "device_id"),
        (MINIMAL.replace("device_id: cage07", "device_id: lab1") + "mqtt: {station: lab1}\n", "device_id"),
        (MINIMAL.replace("device_id: cage07", "device_id: lab1-b") + "mqtt: {station: lab1}\n", "device_id"),
        (MINIMAL + "mqtt: {station: dashboard}\n", "mqtt.station"),
        (MINIMAL.replace("device_id: cage07", "device_id: 12"), "device_id"),
        (MINIMAL.replace("device_id: cage07\n", ""), "device_id"),
        (MINIMAL.replace("/tmp/x", "relative/x"), "state_dir"),
        (MINIMAL.replace("{id: cage07}", "{id: cage07, animals: 2, subject: A}"), "cage.subject"),
        (MINIMAL.replace("{id: cage07}", "{id: cage07, nest_box: [0.5, 0, 0.2, 1]}"), "cage.nest_box"),
        (MINIMAL.replace("simulated}", "replay}"), "camera.replay"),
        (MINIMAL.replace("simulated}", "webcam}"), "camera.backend"),
        (MINIMAL.replace("simulated}", "simulated, small_width: 2000}"), "camera.small_width"),
        (MINIMAL.replace("simulated}", "simulated, simulated: {faults: {3: gremlin}}}"), "camera.simulated.faults.3"),
        (MINIMAL.replace("simulated}", "simulated, simulated: {faults: {5-3: dark}}}"), "camera.simulated.faults"),
        ("", "(the file)"),
        ("just text", "(the file)"),
        ("- 1", "(the file)"),
    ],
)
def test_what_cannot_be_a_device_is_refused(text: str, path: str) -> None:
    assert refusal(text).path == path


def test_yaml_traps_are_closed() -> None:
    """YAML 1.1 reads these as 1140, 12 (octal 10), False and a date."""
    text = MINIMAL.replace("{id: cage07}", "{id: 0012, subject: no, strain: 2024-01-01}")
    config = parse_config(text + "light_cycle: {lights_on: 19:00}\n")
    assert config.light_cycle.lights_on == "19:00"
    assert (config.cage.id, config.cage.subject, config.cage.strain) == ("0012", "no", "2024-01-01")


def test_a_file_that_is_not_there_is_the_operators_to_make(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cageclock init"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"device_id: caf\xe9\n")
    with pytest.raises(OperatorError, match="UTF-8"):
        load_config(tmp_path / "latin.yaml")
    with pytest.raises(OperatorError, match="cannot be read"):
        load_config(tmp_path)


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "device.yaml"
    path.write_text(MINIMAL + "mqtt: {prot: 1}\n")
    with pytest.raises(
        ConfigError, match=rf"^{path}, line 5: mqtt.prot: expected a known key \(did you mean 'port'\?\)"
    ):
        load_config(path)


def test_the_digest_follows_the_meaning_not_the_spelling() -> None:
    spelled_out = MINIMAL + "mqtt: {port: 1883}\n# a comment\n"
    assert config_sha256(parse_config(MINIMAL)) == config_sha256(parse_config(spelled_out))
    assert config_sha256(parse_config(MINIMAL)) != config_sha256(parse_config(MINIMAL + "mqtt: {port: 1884}\n"))


def test_a_scripts_numbers_are_keys_not_numbers() -> None:
    config: Config = parse_config(MINIMAL.replace("simulated}", "simulated, simulated: {faults: {3: dark}}}"))
    assert config.camera.simulated.faults == {"3": "dark"}
