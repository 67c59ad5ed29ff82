"""Files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the place of `path` when the block ends without an exception.

    The folder is made where it is missing. The name begins with `part-` and keeps its ending, because Keras chooses its
    format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"part-{path.name}")
    try:
        yield half
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    half.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    with replacing(path) as half:
        half.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with replacing(path) as half:
        half.write_bytes(content)
