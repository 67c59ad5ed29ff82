"""`keys create | init | show | rotate | revoke | sign`: who may sign models for the lab's devices."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.contract.bundle.bundle import read_unverified
from edge.contract.bundle.keys import ID_LENGTH, key_id, open_public, raw_public, read_public, write_key_pair
from edge.contract.bundle.roles import Key, Role
from edge.contract.bundle.statement import Floor, Statement
from edge.contract.service.argument_types import positive
from edge.contract.service.exit_codes import BUNDLE, MACHINE
from edge.contract.service.subcommands import Commands, Run, add_command, add_group
from edge.errors import OperatorError
from training.bundle.drafts import begin_draft, draft_of, first_statement, following, read_chain_file, sign_draft
from training.bundle.passphrase import new_passphrase, unlocked

DAYS = 365


def add_commands(commands: Commands) -> None:
    """Add them to the training's command line."""
    actions = add_group(commands, "keys", "say who may sign models for the lab's devices", exits=BUNDLE | MACHINE)
    create = _action(actions, "create", _create, "make one person's key pair: FILE, encrypted, and FILE's .pub")
    create.add_argument("file", type=Path, metavar="FILE", help="of the private key, a new one")
    create.add_argument("--passphrase-file", type=Path, metavar="FILE", help="where nobody sits at a terminal")
    init = _statement(actions, "init", _init, "write the lab's first trust statement")
    init.add_argument("--lab", required=True, help="the lab's name, which no later statement changes")
    _roles(init)
    show = _action(actions, "show", _show, "what the newest statement says, and what waits for signatures")
    show.add_argument("trust", type=Path, metavar="TRUST", help="the trust.json of the lab")
    show.add_argument("--json", action="store_true", help="for programs")
    _roles(_statement(actions, "rotate", _rotate, "write the next statement: other keys, thresholds, a later end"))
    revoke = _statement(actions, "revoke", _revoke, "write the next statement: without a key, a bundle or old releases")
    revoke.add_argument("--key", action="append", default=[], metavar="NAME", help="a key's name, or its 16 digits")
    revoke.add_argument("--bundle", action="append", default=[], metavar="FILE", help="a bundle, or its SHA-256")
    revoke.add_argument("--floor", action="append", default=[], metavar="CHANNEL=N", help="lowest release from now on")
    revoke.add_argument("--reset-floor", action="append", default=[], metavar="CHANNEL=N", help="... lowered, too")
    sign = _action(actions, "sign", _sign, "add signatures to the statement that waits for them")
    sign.add_argument("trust", type=Path, metavar="TRUST", help="the trust.json of the lab")
    _by(sign, required=True)


def _action(actions: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    return add_command(actions, name, run, text, exits=BUNDLE | MACHINE)


def _statement(actions: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    action = _action(actions, name, run, text)
    action.add_argument("trust", type=Path, metavar="TRUST", help="the lab's trust.json")
    action.add_argument(
        "--days", type=positive, default=DAYS, metavar="DAYS", help="until it expires (default %(default)s)"
    )
    _by(action, required=False)
    return action


def _by(action: argparse.ArgumentParser, *, required: bool) -> None:
    text = "a root key that signs now; others follow with `keys sign`"
    action.add_argument("--by", type=Path, action="append", default=[], required=required, metavar="FILE", help=text)
    action.add_argument("--passphrase-file", type=Path, metavar="FILE", help="of all these keys")


def _roles(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--root", type=Path, action="append", default=[], metavar="PUB", help="a root key; three are wise"
    )
    action.add_argument(
        "--root-threshold", type=positive, metavar="N", help="how many of them have to sign (default 2)"
    )
    text = "its threshold and public keys, such as study=2:anna.pub,ben.pub,clara.pub"
    action.add_argument("--channel", action="append", default=[], metavar="NAME=N:PUB,PUB", help=text)
    text = "the station's key, which says that nothing newer exists and has no other power; devices then install only "
    action.add_argument("--online", type=Path, metavar="PUB", help=f"{text}while they hear it")


def _create(options: argparse.Namespace) -> int:
    if not options.file.parent.is_dir():
        raise OperatorError(f"{options.file.parent}: there is no such folder; make it, or correct the path")
    if options.file.suffix == ".pub":
        raise OperatorError(f"{options.file}: expected the private key's name; its .pub is made beside it")
    public = options.file.with_suffix(".pub")
    for path in (options.file, public):
        if path.exists():
            raise OperatorError(f"{path}: there is a key already; move it away to make another")
    write_key_pair(options.file, public, new_passphrase(options.passphrase_file))
    print(
        f"{options.file}: a new key, encrypted; give {public} to the others: {key_id(open_public(read_public(public)))}"
    )
    return 0


def _init(options: argparse.Namespace) -> int:
    if options.trust.exists():
        raise OperatorError(f"{options.trust}: the file holds trust statements already; change them with `keys rotate`")
    roots = tuple(map(_key, options.root))
    threshold = options.root_threshold or 2
    if len(roots) < threshold:
        raise OperatorError(f"--root: expected at least {threshold} root keys (three are better), got {len(roots)}")
    role = Role(threshold=threshold, keys=roots)
    channels = _channels(options.channel)
    online = {} if options.online is None else {"online": Role(threshold=1, keys=(_key(options.online),))}
    return _begin(options, first_statement(lab=options.lab, root=role, channels=channels, days=options.days, **online))


def _rotate(options: argparse.Namespace) -> int:
    trust = read_chain_file(options.trust)
    root = trust.newest.root
    keys = tuple(map(_key, options.root)) or root.keys
    role = Role(threshold=options.root_threshold or root.threshold, keys=keys)
    channels = {**trust.newest.channels, **_channels(options.channel)}
    online = trust.newest.online
    if options.online is not None:
        online = Role(threshold=1, keys=(_key(options.online),))
    changed = msgspec.structs.replace(following(trust, options.days), root=role, channels=channels, online=online)
    return _begin(options, changed)


def _revoke(options: argparse.Namespace) -> int:
    trust = read_chain_file(options.trust)
    before = trust.newest
    if not (options.key or options.bundle or options.floor or options.reset_floor):
        raise OperatorError("keys revoke: expected --key, --bundle or --floor")
    revoked = {_named(before, name) for name in options.key}
    root = before.root.without(revoked)
    if len(root.keys) < root.threshold:
        raise OperatorError("--key: too few root keys would be left; put others in with `keys rotate --root` first")
    channels = {name: role.without(revoked) for name, role in before.channels.items()}
    for name, role in channels.items():
        if len(role.keys) < role.threshold:
            left = f"{len(role.keys)} of the {role.threshold} keys that it takes"
            print(f"channel {name}: closed with {left}; open it with `keys rotate --channel`")
    online = before.online
    if not isinstance(online, msgspec.UnsetType):
        online = online.without(revoked)
        if not online.keys:
            print("online: closed; devices install nothing until `keys rotate --online` names another key")
    floors = dict(before.floors)
    for texts, reset in ((options.floor, False), (options.reset_floor, True)):
        for channel, number in map(_pair, texts):
            floors[channel] = Floor(release=number, reset=reset)
    changed = msgspec.structs.replace(
        following(trust, options.days),
        root=root,
        channels=channels,
        online=online,
        revoked_keys=tuple(sorted({*before.revoked_keys, *revoked})),
        revoked_bundles=tuple(sorted({*before.revoked_bundles, *map(_digest, options.bundle)})),
        floors=floors,
    )
    return _begin(options, changed)


def _begin(options: argparse.Namespace, statement: Statement) -> int:
    keys = [unlocked(path, options.passphrase_file) for path in options.by]
    begin_draft(options.trust, statement)
    return _say(options.trust, sign_draft(options.trust, keys))


def _sign(options: argparse.Namespace) -> int:
    return _say(
        options.trust, sign_draft(options.trust, [unlocked(path, options.passphrase_file) for path in options.by])
    )


def _say(path: Path, result: tuple[Statement, Sequence[str]]) -> int:
    statement, missing = result
    print("\n".join(_lines(statement)))
    if missing:
        print(f"{draft_of(path)}: not in force yet; it takes {' and '.join(missing)} (`cageclock-train keys sign`)")
    else:
        print(f"{path}: in force; send it to the devices")
    return 0


def _show(options: argparse.Namespace) -> int:
    trust = read_chain_file(options.trust)
    if options.json:
        print(json.dumps(msgspec.to_builtins(trust.newest), indent=1, ensure_ascii=False))
        return 0
    print("\n".join(_lines(trust.newest)))
    if draft_of(options.trust).exists():
        print(f"{draft_of(options.trust)}: waits for signatures")
    return 0


def _lines(statement: Statement) -> list[str]:
    lines = [f"trust statement {statement.version} of {statement.lab}, until {statement.expires_at.date()}"]
    online = [] if isinstance(statement.online, msgspec.UnsetType) else [("online", statement.online)]
    for name, role in (("root", statement.root), *statement.channels.items(), *online):
        listed = ", ".join(f"{key.name} ({key.id})" for key in role.keys) or "nobody"
        lines.append(f"  {name:10} {role.threshold} of {len(role.keys)}: {listed}")
    lines += [f"  revoked key {one}" for one in statement.revoked_keys]
    lines += [f"  revoked bundle {one}" for one in statement.revoked_bundles]
    for channel, floor in statement.floors.items():
        lines.append(
            f"  {channel}: release {floor.release} or more{', also where it was higher' if floor.reset else ''}"
        )
    return lines


def _channels(texts: Sequence[str]) -> dict[str, Role]:
    found = {}
    for text in texts:
        name, _, rest = text.partition("=")
        number, _, files = rest.partition(":")
        if not (name and number.isdigit() and files):
            raise OperatorError(f"--channel: expected NAME=N:PUB,PUB, such as study=2:anna.pub,ben.pub, got {text!r}")
        role = Role(threshold=int(number), keys=tuple(_key(Path(file)) for file in files.split(",")))
        if not 1 <= role.threshold <= len(role.keys):
            raise OperatorError(f"--channel: {name}: expected a threshold of 1 to {len(role.keys)} keys, got {number}")
        if name in found:
            raise OperatorError(f"--channel: {name} is given twice")
        found[name] = role
    return found


def _key(path: Path) -> Key:
    return Key(name=path.stem[:64], public=raw_public(open_public(read_public(path))).hex())


def _named(statement: Statement, name: str) -> str:
    if len(name) == ID_LENGTH and not set(name) - set("0123456789abcdef"):
        return name  # also one that was replaced before anybody knew that it was stolen
    found = {key.id for key in statement.keys().values() if name == key.name}
    if len(found) != 1:
        known = ", ".join(f"{key.name} ({key.id})" for key in statement.keys().values())
        what = "none has this name" if not found else "several have this name; give its 16 digits"
        raise OperatorError(f"--key: {name}: {what}; the keys are {known}")
    return found.pop()


def _digest(text: str) -> str:
    if len(text) == 64 and not set(text) - set("0123456789abcdef"):
        return text
    if not Path(text).is_file():
        raise OperatorError(f"--bundle: expected a bundle file or its SHA-256 (64 digits), got {text!r}")
    return read_unverified(Path(text)).sha256


def _pair(text: str) -> tuple[str, int]:
    channel, _, number = text.partition("=")
    if not channel or not number.isdigit() or int(number) < 1:
        raise OperatorError(f"--floor: expected CHANNEL=N with a release from 1 on, got {text!r}")
    return channel, int(number)
