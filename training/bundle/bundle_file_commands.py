"""`bundle sign | verify | inspect | diff`: what is done with a bundle that is built."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edge.contract.bundle.bundle import (
    Bundle,
    bundle_bytes,
    manifest_bytes,
    read_bundle,
    read_unverified,
    signed_again,
)
from edge.contract.bundle.description import describe, difference
from edge.contract.bundle.envelope import enclose, open_envelope
from edge.contract.bundle.keys import read_public
from edge.contract.bundle.statement import Statement
from edge.contract.manifest import CARD, GOLDEN_INPUTS, GOLDEN_OUTPUTS
from edge.contract.service.exit_codes import BUNDLE, MACHINE
from edge.contract.service.subcommands import Commands, Run, add_command
from edge.errors import BundleError, OperatorError
from training import whole_file
from training.bundle import ledger
from training.bundle.drafts import read_chain_file
from training.bundle.passphrase import unlocked

_TRUST = "the lab's trust.json"


def add_actions(actions: Commands) -> None:
    """Add them to the actions of `bundle`."""
    sign = _action(actions, "sign", _sign, "add one person's signature; the first one counts the release")
    sign.add_argument("file", type=Path, metavar="BUNDLE", help="a bundle file")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="private key")
    sign.add_argument("--passphrase-file", type=Path, metavar="FILE", help="where nobody sits at a terminal")
    sign.add_argument("--trust", type=Path, metavar="FILE", help=f"{_TRUST}, to travel in the bundle")
    sign.add_argument("--ledger", type=Path, metavar="FILE", help="releases by channel (default: beside the key)")
    verify = _action(actions, "verify", _verify, "say whether a device would take it; exit code 3 if not")
    verify.add_argument("file", type=Path, metavar="BUNDLE", help="a bundle file")
    verify.add_argument("--trust", type=Path, metavar="FILE", help=_TRUST)
    verify.add_argument("--channel", help="of the device (default: the bundle's own)")
    verify.add_argument("--key", type=Path, action="append", metavar="PEM", help="a public key, in place of --trust")
    inspect = _action(actions, "inspect", _inspect, "what is in it")
    inspect.add_argument("file", type=Path, metavar="BUNDLE", help="a bundle file")
    inspect.add_argument("--trust", type=Path, metavar="FILE", help=f"{_TRUST}, to name who signed")
    inspect.add_argument("--json", action="store_true", help="for programs")
    diff = _action(actions, "diff", _diff, "what changed from one to the other")
    diff.add_argument("before", type=Path, metavar="BUNDLE", help="a bundle file")
    diff.add_argument("after", type=Path, metavar="BUNDLE", help="a bundle file")
    diff.add_argument("--json", action="store_true", help="for programs")


def check_complete(bundle: Bundle) -> None:
    """Refuse to sign what says too little: a card without text, no golden inputs or outputs.

    Raises:
        BundleError: a part is missing. (A manifest without budgets is none.)
    """
    for name, what in ((CARD, "model card"), (GOLDEN_INPUTS, "golden inputs"), (GOLDEN_OUTPUTS, "golden outputs")):
        if not bundle.files[name].strip():
            raise BundleError(f"{name}: a bundle is signed with its {what}, got an empty file; build it again")


def _action(actions: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    return add_command(actions, name, run, text, exits=BUNDLE | MACHINE)


def _sign(options: argparse.Namespace) -> int:
    bundle = read_unverified(options.file)
    check_complete(bundle)
    pem, passphrase = unlocked(options.key, options.passphrase_file)
    trust = None if options.trust is None else read_chain_file(options.trust)
    book = options.ledger or options.key.parent / ledger.NAME
    if open_envelope(bundle.envelope).signatures:
        ledger.note(book, bundle)
    else:
        manifest = ledger.count(book, bundle.manifest, bundle.files)
        envelope = enclose(manifest_bytes(manifest, bundle.files), {})
        whole_file.write_bytes(options.file, bundle_bytes(envelope, bundle.files, bundle.chain))
        bundle = read_unverified(options.file)
    content = signed_again(bundle, pem, passphrase, None if trust is None else trust.content())
    whole_file.write_bytes(options.file, content)
    signed = read_unverified(options.file)
    manifest, count = signed.manifest, len(open_envelope(signed.envelope).signatures)
    print(
        f"{options.file}: release {manifest.release} of {manifest.channel}, signatures: {count}, sha256 {signed.sha256}"
    )
    if trust is not None:
        print(_outcome(options.file, trust.newest, trust.authority(manifest.channel)))
    return 0


def _outcome(file: Path, statement: Statement, authority: Any) -> str:
    try:
        read_bundle(file, authority)
    except BundleError as error:
        return f"not complete yet: {str(error).removeprefix(f'{file}: ')}"
    return f"complete: a device with trust statement {statement.version} takes it"


def _verify(options: argparse.Namespace) -> int:
    if (options.trust is None) == (options.key is None):
        raise OperatorError("bundle verify: expected --trust or --key, one of the two")
    if options.trust is None:
        bundle = read_bundle(options.file, [read_public(key) for key in options.key])
    else:
        trust = read_chain_file(options.trust)
        channel = options.channel or read_unverified(options.file).manifest.channel
        bundle = read_bundle(options.file, trust.authority(channel))
        if bundle.manifest.channel != channel:
            raise BundleError(f"{options.file}: channel: expected {channel!r}, got {bundle.manifest.channel!r}")
        newest = trust.newest
        if bundle.sha256 in newest.revoked_bundles:
            raise BundleError(f"{options.file}: revoked bundle: trust statement {newest.version} revokes it")
        floor = newest.floors.get(channel)
        if floor is not None and bundle.manifest.release < floor.release:
            raise BundleError(
                f"{options.file}: release: expected {floor.release} or more, got {bundle.manifest.release}"
            )
    manifest = bundle.manifest
    print(f"{options.file}: {manifest.name} {manifest.model_version}, release {manifest.release} of {manifest.channel}")
    return 0


def _inspect(options: argparse.Namespace) -> int:
    statement = None if options.trust is None else read_chain_file(options.trust).newest
    _show(describe(read_unverified(options.file), statement), options)
    return 0


def _diff(options: argparse.Namespace) -> int:
    before, after = read_unverified(options.before), read_unverified(options.after)
    _show(difference(before, after) or {"bundle": {"differences": "none"}}, options)
    return 0


def _show(values: Mapping[str, Mapping[str, Any]], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(msgspec.to_builtins(values), indent=1, ensure_ascii=False))
        return
    for section, found in values.items():
        print(section)
        for name, value in found.items():
            print(f"  {name:30} {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, dict) and {"before", "after"} <= set(value):
        change = f"  ({value['change']:+g})" if "change" in value else ""
        return f"{_text(value['before'])} -> {_text(value['after'])}{change}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
