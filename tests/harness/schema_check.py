"""A checker of JSON Schemas, as far as the contract's use them: no package for it is installed with the tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def violations(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    """Yield what breaks the schema; exactly the keywords that msgspec writes are understood.

    definitions: what `$ref` refers to, the schema's `$defs`.
    """
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
        yield from violations(value, definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return
    if "anyOf" in schema and all(list(violations(value, each, definitions)) for each in schema["anyOf"]):
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
                yield from violations(each, properties[key], definitions)
            elif extra is False:
                yield f"{key} is unknown"
            elif isinstance(extra, dict):
                yield from violations(each, extra, definitions)
    if isinstance(value, list):
        kinds = schema.get("prefixItems") or [schema.get("items") or {}] * len(value)
        for each, of in zip(value, kinds, strict=True):
            yield from violations(each, of, definitions)


def _limits(value: Any, schema: dict[str, Any]) -> Iterator[str]:
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
