"""The example that `init` writes is complete and true."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.config.example import EXAMPLE, write_example
from edge.config.load import load_config, parse_config
from edge.config.tree import Config, ReplaySettings, Tls, ZeitgeberWindow
from edge.contract.service.settings.document import parse_yaml
from edge.errors import OperatorError

UNCOMMENTED = re.sub(r"^(\s*)# ((?:  )?[a-z_]+:)", r"\1\2", EXAMPLE, flags=re.MULTILINE)


def keys_of(kind: Any) -> set[str]:
    found = set()
    for field in msgspec.structs.fields(kind):
        found.add(field.encode_name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found |= keys_of(field.type)
    return found


def test_it_is_valid_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "cageclock.yaml"
    write_example(path)
    assert load_config(path).device_id == "cage07"


def test_it_names_every_key() -> None:
    expected = keys_of(Config) | keys_of(ReplaySettings) | keys_of(Tls) | keys_of(ZeitgeberWindow)
    assert {key for key in expected if not re.search(rf"\b{key}:", EXAMPLE)} == set()


def test_the_commented_values_are_the_defaults() -> None:
    values = parse_yaml(UNCOMMENTED)
    assert values["camera"].pop("replay")["path"] == "/srv/pictures"
    assert values["mqtt"].pop("tls")["ca"] == "/etc/cageclock/ca.pem"
    spelled_out = msgspec.convert(values, Config)
    assert spelled_out == parse_config(EXAMPLE)


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "cageclock.yaml"
    path.write_text("mine")
    with pytest.raises(OperatorError, match="exists already"):
        write_example(path)
    assert path.read_text() == "mine"


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be written: No such file"):
        write_example(tmp_path / "none" / "cageclock.yaml")
