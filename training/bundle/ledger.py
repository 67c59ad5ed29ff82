"""The releases of each channel, counted where bundles are signed: `releases.json`, so that nobody types a number."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from edge.contract import jsontext
from edge.contract.base import Sequence, Sha256, Struct
from edge.contract.bundle.bundle import Bundle, manifest_bytes
from edge.contract.manifest import Label, Manifest
from edge.errors import MessageError, OperatorError
from training import whole_file

NAME = "releases.json"
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


class Release(Struct, frozen=True, kw_only=True):
    """One release. content: the digest of all but its number and time, by which the same model is known again."""

    channel: Label
    release: Sequence
    sha256: Sha256
    content: Sha256
    name: Label
    model_version: Label
    created_at: datetime


class Ledger(Struct, frozen=True, kw_only=True):
    """All releases, in the order in which they were first signed. Nothing has a default: `{}` is no empty ledger."""

    schema: Literal["cageclock/releases/1"]
    releases: tuple[Release, ...]

    def highest(self, channel: str) -> int:
        """Return the highest release of a channel, 0 where it has none."""
        return max((one.release for one in self.releases if one.channel == channel), default=0)


def read_ledger(path: Path) -> Ledger:
    """Return the ledger of a file; where there is none yet, an empty one.

    Raises:
        OperatorError: it cannot be read. Without it a number could come twice.
    """
    try:
        return jsontext.decode(path.read_bytes(), Ledger)
    except FileNotFoundError:
        return Ledger(schema="cageclock/releases/1", releases=())
    except (MessageError, OSError) as error:
        raise OperatorError(f"{path}: cannot be read: {error}; restore it, releases are counted by it") from error


def count(path: Path, manifest: Manifest, files: Mapping[str, bytes], release: int | None = None) -> Manifest:
    """Return the manifest with its number on its channel, which stands in the ledger from now on.

    The same content gets the number and the time that it had: signed again, it is the same bundle. release: a number
    that a person insists on.

    Raises:
        OperatorError: the ledger cannot be used, or the number is taken or not above all before.
    """
    ledger, content, channel = read_ledger(path), content_of(manifest, files), manifest.channel
    for one in ledger.releases:
        if one.content == content and release in (None, one.release):
            return msgspec.structs.replace(manifest, release=one.release, created_at=one.created_at)
    highest = ledger.highest(channel)
    number = highest + 1 if release is None else release
    if number <= highest:
        raise OperatorError(f"release: channel {channel!r} is at {highest} by {path}, expected more, got {number}")
    counted = msgspec.structs.replace(manifest, release=number)
    _add(path, ledger, counted, files, hashlib.sha256(manifest_bytes(counted, files)).hexdigest())
    return counted


def note(path: Path, bundle: Bundle) -> None:
    """Note a release that somebody else signed first.

    Raises:
        OperatorError: by this ledger its number belongs to another bundle, or is not above all before.
    """
    ledger, manifest, channel = read_ledger(path), bundle.manifest, bundle.manifest.channel
    same = [one for one in ledger.releases if (one.channel, one.release) == (channel, manifest.release)]
    if any(one.sha256 == bundle.sha256 for one in same):
        return
    highest = ledger.highest(channel)
    if manifest.release <= highest:
        taken = f"is {same[0].name} {same[0].model_version}" if same else f"is not above {highest}"
        raise OperatorError(f"release: {manifest.release} of channel {channel!r} {taken} by {path}; not signed")
    _add(path, ledger, manifest, bundle.files, bundle.sha256)


def content_of(manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Return the digest of a manifest but for its number and its time."""
    plain = msgspec.structs.replace(manifest, release=1, created_at=_ANY_TIME)
    return hashlib.sha256(manifest_bytes(plain, files)).hexdigest()


def _add(path: Path, ledger: Ledger, manifest: Manifest, files: Mapping[str, bytes], sha256: str) -> None:
    one = Release(
        channel=manifest.channel,
        release=manifest.release,
        sha256=sha256,
        content=content_of(manifest, files),
        name=manifest.name,
        model_version=manifest.model_version,
        created_at=manifest.created_at,
    )
    grown = msgspec.structs.replace(ledger, releases=(*ledger.releases, one))
    whole_file.write_bytes(path, jsontext.encode_readable(grown))
