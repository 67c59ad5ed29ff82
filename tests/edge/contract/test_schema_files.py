"""The published schemas are those of the code, and every stored example can still be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.contract import identity, jsontext
from edge.contract.schema_files import EXAMPLES, FOLDER, PLAIN, RECORDS, file_name, main, make_schemas
from edge.contract.status import Health
from edge.errors import MessageError
from tests.harness.schema_check import violations

STORED = sorted((FOLDER / EXAMPLES).glob("*.json"))
KINDS = {**RECORDS, **PLAIN}


def _name(path: Path) -> str:
    return path.name.partition(".")[0]


def _read(path: Path):
    payload = path.read_bytes()
    body = identity.split(payload)[1] if _name(path) in RECORDS else payload
    return jsontext.decode(body, KINDS[_name(path)])


def test_the_stored_schemas_are_what_the_code_says_now():
    stored = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}
    assert stored == make_schemas(), "run: python -m edge.contract.schema_files"


def test_every_schema_has_an_example():
    assert {path.name.partition(".")[0] for path in STORED} == set(KINDS)


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_example_is_read_and_written_back_the_same(path):
    payload = path.read_bytes()
    again = jsontext.encode(_read(path))
    if _name(path) in RECORDS:
        head, body = identity.split(payload)
        assert identity.join(head, body) == payload
        payload = body
    assert json.loads(again) == json.loads(payload)


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.name)
def test_a_stored_example_satisfies_its_schema(path):
    schema = json.loads((FOLDER / file_name(_name(path))).read_bytes())
    assert list(violations(json.loads(path.read_bytes()), schema, schema.get("$defs", {}))) == []


def test_the_checker_finds_what_a_schema_forbids():
    schema = json.loads((FOLDER / file_name("lost")).read_bytes())
    good = json.loads((FOLDER / EXAMPLES / "lost.v1.json").read_bytes())
    for change in ({"seq": 0}, {"epoch": "x"}, {"what": "mouse"}, {"more": 1}, {"replayed": "no"}, {"reason": None}):
        assert list(violations({**good, **change}, schema, {})), change
    assert list(violations({key: good[key] for key in good if key != "of_epoch"}, schema, {}))


def test_an_unknown_field_is_refused_by_the_code_as_by_the_schema():
    body = json.loads((FOLDER / EXAMPLES / "committed.v1.json").read_bytes())
    with pytest.raises(MessageError):
        jsontext.decode(json.dumps({**body, "more": 1}), KINDS["committed"])


def test_the_command_writes_and_clears_a_folder(tmp_path, capsys):
    (tmp_path / "gone.v1.json").write_text("{}")
    assert main([str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(make_schemas())
    assert len(capsys.readouterr().out.splitlines()) == len(KINDS)


def test_a_health_record_of_a_device_that_counts_no_ends_is_read() -> None:
    text = (
        (FOLDER / EXAMPLES / "health.v1.json")
        .read_bytes()
        .replace(b',"connection_ends":{"silent":1,"unreachable":4}', b"")
    )
    assert b"connection_ends" not in text
    assert jsontext.decode(text, Health).connection_ends == {}


def test_no_description_depends_on_how_the_interpreter_stores_docstrings():
    """Up to Python 3.12 a docstring keeps its indentation, from 3.13 on it does not."""
    text = b"".join(make_schemas().values()).decode()
    assert "\\n    " not in text
    assert "\\n" in text
