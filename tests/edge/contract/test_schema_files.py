"""The published schemas are those of the code, and every stored example can still be read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edge.contract import identity, jsontext
from edge.contract.schema_files import EXAMPLES, FOLDER, PLAIN, RECORDS, file_name, main, make_schemas
from edge.contract.status import Health
from edge.errors import MessageError

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
    assert list(_violations(json.loads(path.read_bytes()), schema, schema.get("$defs", {}))) == []


def test_the_checker_finds_what_a_schema_forbids():
    schema = json.loads((FOLDER / file_name("lost")).read_bytes())
    good = json.loads((FOLDER / EXAMPLES / "lost.v1.json").read_bytes())
    for change in ({"seq": 0}, {"epoch": "x"}, {"what": "mouse"}, {"more": 1}, {"replayed": "no"}, {"reason": None}):
        assert list(_violations({**good, **change}, schema, {})), change
    assert list(_violations({key: good[key] for key in good if key != "of_epoch"}, schema, {}))


def test_an_unknown_field_is_refused_by_the_code_as_by_the_schema():
    body = json.loads((FOLDER / EXAMPLES / "committed.v1.json").read_bytes())
    with pytest.raises(MessageError):
        jsontext.decode(json.dumps({**body, "more": 1}), KINDS["committed"])


def test_the_command_writes_and_clears_a_folder(tmp_path, capsys):
    (tmp_path / "gone.v1.json").write_text("{}")
    assert main([str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(make_schemas())
    assert len(capsys.readouterr().out.splitlines()) == len(KINDS)


TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def _violations(value, schema, definitions):
    """Yield what breaks the schema; exactly the keywords that msgspec writes are understood."""
    known = {"$schema", "$id", "$defs", "title", "description", "default", "format"}
    known |= {"$ref", "anyOf", "enum", "type", "pattern", "minLength", "maxLength", "minItems", "maxItems"}
    known |= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    known |= {
        "items",
        "prefixItems",
        "properties",
        "required",
        "additionalProperties",
        "propertyNames",
        "maxProperties",
    }
    assert set(schema) <= known, set(schema) - known
    if "$ref" in schema:
        yield from _violations(value, definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return
    if "anyOf" in schema and all(list(_violations(value, each, definitions)) for each in schema["anyOf"]):
        yield f"{value!r}: none of {schema['anyOf']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{value!r} is none of {schema['enum']}"
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool))):
        yield f"{value!r} is no {kind}"
        return
    yield from _limits(value, schema)
    if isinstance(value, dict) and kind == "object":
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties", True)
        yield from (f"{key} is missing" for key in schema.get("required", []) if key not in value)
        if len(value) > schema.get("maxProperties", len(value)):
            yield f"{len(value)} properties"
        for key, each in value.items():
            yield from _limits(key, schema.get("propertyNames", {}))
            if key in properties:
                yield from _violations(each, properties[key], definitions)
            elif extra is False:
                yield f"{key} is unknown"
            elif isinstance(extra, dict):
                yield from _violations(each, extra, definitions)
    if isinstance(value, list):
        kinds = schema.get("prefixItems") or [schema.get("items") or {}] * len(value)
        for each, of in zip(value, kinds, strict=True):
            yield from _violations(each, of, definitions)


def _limits(value, schema):
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{value!r} does not match {schema['pattern']}"
    if isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield f"{len(value)} characters"
    if isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        yield f"{len(value)} items"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            yield f"{value} is out of range"
        if value <= schema.get("exclusiveMinimum", value - 1) or value >= schema.get("exclusiveMaximum", value + 1):
            yield f"{value} is out of range"


def test_a_health_record_of_a_device_that_counts_no_ends_is_read() -> None:
    text = (
        (FOLDER / EXAMPLES / "health.v1.json")
        .read_bytes()
        .replace(b',"connection_ends":{"silent":1,"unreachable":4}', b"")
    )
    assert b"connection_ends" not in text
    assert jsontext.decode(text, Health).connection_ends == {}
