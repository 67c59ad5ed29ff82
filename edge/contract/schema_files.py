"""JSON Schema for every payload, generated from the structs: `python -m edge.contract.schema_files [FOLDER]`.

A schema describes what travels: for records that is the head's fields and then the body's. The files are for people
and for programs in other languages; the structs themselves decide.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edge.contract import jsontext
from edge.contract.base import MAX_SEQ, Struct
from edge.contract.command import CaptureRequest, ReplayRequest, Result
from edge.contract.committed import Committed
from edge.contract.desired import Desired
from edge.contract.manifest import Manifest
from edge.contract.model_trust import ModelTrust
from edge.contract.reading import Reading
from edge.contract.record import ClockCorrection, Event, Lost, LostRanges
from edge.contract.reported import Reported
from edge.contract.status import Health, Info
from edge.contract.summary import Summary
from edge.contract.topics import ROOT

FOLDER = Path(__file__).parent / "schemas"
EXAMPLES = "examples"
DRAFT = "https://json-schema.org/draft/2020-12/schema"

RECORDS: dict[str, type[Struct]] = {
    "reading": Reading,
    "event": Event,
    "lost": Lost,
    "lost-ranges": LostRanges,
    "clock": ClockCorrection,
}
PLAIN: dict[str, type[Struct]] = {
    "info": Info,
    "health": Health,
    "summary": Summary,
    "committed": Committed,
    "result": Result,
    "command-capture": CaptureRequest,
    "command-replay": ReplayRequest,
    "manifest": Manifest,
    "model-desired": Desired,
    "model-reported": Reported,
    "model-trust": ModelTrust,
}
TOPICS = {
    "reading": "reading, latest",
    "event": "record",
    "lost": "record",
    "lost-ranges": "record",
    "clock": "record",
    "info": "info",
    "health": "health",
    "summary": "summary/<subject or cage>",
    "committed": "committed/<station>",
    "result": "result",
    "command-capture": "command/capture",
    "command-replay": "command/replay",
    "model-desired": "model/desired",
    "model-reported": "model/reported",
    "model-trust": "model/trust",
}
_HEAD: dict[str, Any] = {
    "epoch": {"type": "string", "pattern": "^[0-9a-f]{32}$", "maxLength": 32},
    "seq": {"type": "integer", "minimum": 1, "maximum": MAX_SEQ},
    "first_held": {"type": "integer", "minimum": 1, "maximum": MAX_SEQ},
    "replayed": {"type": "boolean"},
}


def file_name(name: str) -> str:
    """Return the schema's file name: `reading.v1.json`, from the version that the payload itself states."""
    kind = {**RECORDS, **PLAIN}[name]
    stated = next((field.default for field in msgspec.structs.fields(kind) if field.name == "schema"), "/1")
    return f"{name}.v{str(stated).rpartition('/')[2]}.json"


def make_schemas() -> dict[str, bytes]:
    """Return file name -> JSON text of every schema, the same bytes each time."""
    return {
        file_name(name): jsontext.encode_readable(_describe(name, kind, headed=name in RECORDS))
        for name, kind in {**RECORDS, **PLAIN}.items()
    }


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema and remove those of payloads that are no more; return the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    made = make_schemas()
    for old in folder.glob("*.json"):
        if old.name not in made:
            old.unlink()
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in made]


def _describe(name: str, kind: type[Struct], *, headed: bool) -> dict[str, Any]:
    (reference,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    body = dict(definitions.pop(reference["$ref"].rpartition("/")[2]))
    if headed:
        body["properties"] = {**_HEAD, **body["properties"]}
        body["required"] = [*_HEAD, *body.get("required", [])]
    title = f"{ROOT}/<device>/{TOPICS[name]}" if name in TOPICS else f"bundle: {name}"
    described = {"$schema": DRAFT, "$id": f"urn:cageclock:{file_name(name).removesuffix('.json')}", **body}
    described["title"] = title
    whole: dict[str, Any] = _cleaned({**described, "$defs": definitions} if definitions else described)
    return whole


def _cleaned(node: Any) -> Any:
    """Return the schema with every description as `inspect.cleandoc` leaves it.

    They are docstrings, and from Python 3.13 on the compiler takes their indentation away.
    """
    if isinstance(node, list):
        return [_cleaned(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _cleaned(value)
        for key, value in node.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schemas into the package, or into the folder given."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for path in write_schemas(Path(given[0]) if given else FOLDER):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
