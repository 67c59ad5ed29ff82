"""The next trust statement while people sign it in turn: `trust.next.json` beside the `trust.json` that it extends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from edge.contract import jsontext
from edge.contract.bundle.envelope import add_signature, enclose, open_envelope
from edge.contract.bundle.statement import STATEMENT_TYPE, Statement, check_statement, read_statement
from edge.contract.bundle.trust import Trust, begin, chain_bytes
from edge.errors import BundleError, OperatorError
from training import whole_file

Unlocked = tuple[bytes, bytes | None]
"""A private key (PEM) and its passphrase."""


def read_chain_file(path: Path) -> Trust:
    """Return the lab's chain.

    Raises:
        OperatorError: there is none, or it cannot be used.
    """
    try:
        return begin(path.read_bytes())
    except FileNotFoundError as error:
        raise OperatorError(f"{path}: there are no trust statements; begin with `cageclock-train keys init`") from error
    except (OSError, BundleError) as error:
        raise OperatorError(f"{path}: {error}") from error


def draft_of(path: Path) -> Path:
    """Return where the unfinished statement lies."""
    return path.with_name(f"{path.stem}.next{path.suffix}")


def begin_draft(path: Path, statement: Statement) -> None:
    """Write the next statement, signed by nobody yet.

    Raises:
        OperatorError: another one waits for signatures, or no device would take this one.
    """
    draft = draft_of(path)
    if draft.exists():
        raise OperatorError(f"{draft}: another statement waits for signatures; sign it, or remove it")
    try:
        check_statement(statement)
    except BundleError as error:
        raise OperatorError(str(error)) from error
    whole_file.write_bytes(draft, enclose(jsontext.encode(statement), {}, STATEMENT_TYPE))


def following(trust: Trust, days: int) -> Statement:
    """Return the newest statement's successor, equal to it but for its version and times; no floor is taken back."""
    now, before = datetime.now(UTC).replace(microsecond=0), trust.newest
    # A floor is taken back once: a device that obeys the next statement must not do it again.
    floors = {channel: msgspec.structs.replace(floor, reset=False) for channel, floor in before.floors.items()}
    times = {"created_at": now, "expires_at": now + timedelta(days=days)}
    return msgspec.structs.replace(before, version=before.version + 1, floors=floors, **times)


def first_statement(**given: object) -> Statement:
    """Return version 1; given: what `Statement` takes, and `days`."""
    now = datetime.now(UTC).replace(microsecond=0)
    days = given.pop("days")
    assert isinstance(days, int)
    return Statement(version=1, created_at=now, expires_at=now + timedelta(days=days), **given)  # type: ignore[arg-type]


def sign_draft(path: Path, keys: Sequence[Unlocked]) -> tuple[Statement, list[str]]:
    """Return the waiting statement and what it still lacks; complete, it stands in `path` and waits no longer.

    Raises:
        OperatorError: none waits, it does not follow from `path`, or a key cannot be used or has no say.
    """
    draft = draft_of(path)
    try:
        envelope = draft.read_bytes()
        statement = read_statement(open_envelope(envelope, STATEMENT_TYPE).body)
    except FileNotFoundError as error:
        raise OperatorError(f"{draft}: no statement waits for signatures") from error
    except BundleError as error:
        raise OperatorError(f"{draft}: {error}") from error
    trust = read_chain_file(path) if path.exists() else None
    for pem, passphrase in keys:
        signed = add_signature(envelope, pem, STATEMENT_TYPE, passphrase)
        roots = {key.id for key in (*statement.root.keys, *(trust.newest.root.keys if trust else ()))}
        if strangers := set(open_envelope(signed, STATEMENT_TYPE).signatures) - roots:
            raise OperatorError(f"{', '.join(sorted(strangers))}: no root key, old or new; it has no say in statements")
        envelope = signed
    whole_file.write_bytes(draft, envelope)
    missing = _missing(statement, trust, envelope)
    if not missing:
        _finish(path, trust, envelope)
        draft.unlink()
    return statement, missing


def _missing(statement: Statement, trust: Trust | None, envelope: bytes) -> list[str]:
    opened, found = open_envelope(envelope, STATEMENT_TYPE), []
    roots = {"new": statement.root} if trust is None else {"old": trust.newest.root, "new": statement.root}
    for which, root in roots.items():
        signed = [key.name for key in root.signers(opened)]
        if len(signed) < root.threshold:
            others = ", ".join(key.name for key in root.keys if key.name not in signed)
            found.append(f"{root.threshold - len(signed)} more of the {which} root: {others}")
    return found


def _finish(path: Path, trust: Trust | None, envelope: bytes) -> None:
    try:
        whole = begin(chain_bytes([envelope])) if trust is None else trust.extended([envelope])
    except BundleError as error:
        raise OperatorError(f"{draft_of(path)}: {error}") from error
    whole_file.write_bytes(path, whole.content())
