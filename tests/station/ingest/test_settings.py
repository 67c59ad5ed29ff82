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
        ("data: x\n", "missing required field `name`"),
        ("name: lab1\n", "missing required field `data`"),
        ("name: lab1\ndata: x\nprot: 1\n", "unknown field `prot`"),
        ("name: lab1\ndata: x\nport: 0\n", ">= 1 - at `$.port`"),
        ("name: lab1\ndata: x\nport: 1883\nport: 1884\n", "'port' is given twice"),
        ("name: on\ndata: x\n", "Expected `str`, got `bool`"),
        ("name: Lab\ndata: x\n", "expected a name"),
        ("- name\n", "expected settings"),
        ("name: [\n", "expected YAML"),
        ("name: lab1\ndata: x\npassword_file: p\n", "without username"),
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
