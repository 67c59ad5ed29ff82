"""The tiny bundle with something changed and signed anew, as whoever holds a trusted key could."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, write_bundle
from edge.contract.bundle.envelope import sign, verify
from edge.contract.bundle.keys import new_key_pair
from edge.contract.manifest import Manifest

PRIVATE, PUBLIC = new_key_pair()


def change(manifest: Manifest, **values) -> Manifest:
    """Return the manifest with fields replaced, unchecked: `age__temperature=2.0`, `age__head_weights=...`."""
    for path, value in values.items():
        *parents, last = path.split("__")
        value = {last: value}
        for parent in reversed(parents):
            value = {parent: msgspec.structs.replace(getattr(manifest, parent), **value)}
        manifest = msgspec.structs.replace(manifest, **value)
    return manifest


def resign(folder: Path, bundle: Bundle, files: dict[str, bytes] | None = None, **values) -> Path:
    """Return the file of the changed bundle, signed."""
    path = folder / "changed.bundle"
    write_bundle(path, change(bundle.manifest, **values), dict(bundle.files) | (files or {}), PRIVATE)
    return path


def resign_text(folder: Path, bundle: Bundle, edit: Callable[[str], str]) -> Path:
    """Return the file of a bundle whose manifest is any text, as no writer of ours would sign it."""
    path = resign(folder, bundle)
    with tarfile.open(path) as archive:
        parts = [(entry.name, archive.extractfile(entry).read()) for entry in archive]
    body = verify(parts[0][1], [PUBLIC]).decode()
    changed = edit(body)
    assert changed != body
    parts[0] = (parts[0][0], sign(changed.encode(), PRIVATE))
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in parts:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return path


def recoded(content: bytes, **values) -> bytes:
    """Return a JSON part with fields replaced."""
    return jsontext.encode(jsontext.parse(content) | values)
