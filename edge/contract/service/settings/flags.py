"""Settings of which a command line can give some: the flags win over the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.contract.service.settings.convert import Wording
from edge.contract.service.settings.document import Document, read_document

FLAGS = "flags"
"""What stands in place of a file's name where all settings come from the command line."""
FILE_OR_FLAGS = Wording(
    missing="this key in the file, or its flag", secret="no secret among the settings (name a file: password_file)"
)


def read_with_flags(path: Path | None, flags: Mapping[str, Any]) -> Document:
    """Return what a file says with the flags laid over it; a flag that is None says nothing. path: None for flags only.

    Raises:
        OperatorError: the file cannot be read.
        ConfigError: it is no YAML, or says a key twice.
    """
    document = read_document(path) if path is not None else Document({}, {}, FLAGS)
    given = {key: value for key, value in flags.items() if value is not None}
    lines = {key: line for key, line in document.lines.items() if key.split(".")[0].split("[")[0] not in given}
    return Document({**document.values, **given}, lines, document.source)
