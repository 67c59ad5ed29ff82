"""The station's settings: a file, flags over it, and one clear error."""

from pathlib import Path

import pytest

from edge.errors import OperatorError
from station.ingest.settings import Tls, load_settings


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "station.yaml"
    path.write_text("name: lab1\ndata: /srv/x\nport: 8883\nmqtt_version: 5\ntls: {ca_file: ca.pem}\n")
    found = load_settings(path, {"host": "broker", "port": None, "data": "here", "tls_cert_file": "c.pem"})
    assert (found.name, found.data, found.host, found.port, found.mqtt_version) == ("lab1", "here", "broker", 8883, "5")
    assert found.tls == Tls(ca_file="ca.pem", cert_file="c.pem")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("data: x\n", "station.yaml: name: expected this key in the file, or its flag, got nothing"),
        ("name: lab1\n", "data: expected this key in the file, or its flag, got nothing"),
        ("name: lab1\ndata: x\nprot: 1\n", "line 3: prot: expected a known key (did you mean 'port'?)"),
        ("name: lab1\ndata: x\nport: 0\n", "line 3: port: expected a whole number of at least 1, got 0"),
        (
            "name: lab1\ndata: x\nport: 1883\nport: 1884\n",
            "line 4: port: expected each key once, got it twice",
        ),
        ("name: true\ndata: x\n", "line 1: name: expected text (put it in quotes), got true"),
        ("name: lab1\ndata: x\nhost: broker:1883\n", "line 3: host: expected"),
        ("name: lab1\ndata: x\npassword: secret\n", "line 3: password: expected no secret"),
        ("name: lab1\ndata: x\nquota:\n  thumbnail_mb: 1\n", "line 4: quota.thumbnail_mb: expected"),
        ("name: lab1\ndata: x\nmqtt_version: 4\n", "line 3: mqtt_version: expected one of 5, 3.1.1, got '4'"),
        ("name: Lab\ndata: x\n", "expected a name"),
        ("- name\n", "expected a section of keys"),
        ("name: [\n", "expected YAML"),
        (
            "name: lab1\ndata: x\npassword_file: p\n",
            "username: expected the user whose password is in password_file",
        ),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "station.yaml"
    path.write_text(text)
    with pytest.raises(OperatorError) as caught:
        load_settings(path, {})
    assert why in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
