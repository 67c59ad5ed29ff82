"""People with keys, and the statements that they sign, for tests."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec

from edge.contract import jsontext
from edge.contract.bundle.bundle import Bundle, bundle_bytes, manifest_bytes
from edge.contract.bundle.envelope import add_signature, enclose
from edge.contract.bundle.keys import new_key_pair, open_public, raw_public
from edge.contract.bundle.roles import Key, Role
from edge.contract.bundle.statement import STATEMENT_TYPE, Statement
from edge.contract.bundle.trust import chain_bytes

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Person:
    private: bytes
    public: bytes
    key: Key


@cache
def person(name: str) -> Person:
    private, public = new_key_pair()
    return Person(private, public, Key(name=name, public=raw_public(open_public(public)).hex()))


def role(threshold: int, *names: str) -> Role:
    return Role(threshold=threshold, keys=tuple(person(name).key for name in names))


def statement(version: int = 1, **changes) -> Statement:
    plain = Statement(
        lab="our lab",
        version=version,
        created_at=MONDAY,
        expires_at=MONDAY + timedelta(days=365),
        root=role(2, "anna", "ben", "clara"),
        channels={"study": role(2, "dora", "emil", "fritz"), "dev": role(1, "dora", "gina")},
    )
    return msgspec.structs.replace(plain, **changes)


def signed(said: Statement | bytes, *names: str) -> bytes:
    body = said if isinstance(said, bytes) else jsontext.encode(said)
    envelope = enclose(body, {}, STATEMENT_TYPE)
    for name in names or ("anna", "ben"):
        envelope = add_signature(envelope, person(name).private, STATEMENT_TYPE)
    return envelope


def chain(*envelopes: bytes) -> bytes:
    return chain_bytes(envelopes or (signed(statement()),))


def bundle_of(bundle: Bundle, *names: str, trust: bytes | None = None, files=None, **changes) -> bytes:
    """The bytes of a bundle of channel `study`, signed by these people."""
    manifest = msgspec.structs.replace(bundle.manifest, **{"channel": "study", "release": 1, **changes})
    envelope = enclose(manifest_bytes(manifest, bundle.files), {})
    for name in names:
        envelope = add_signature(envelope, person(name).private)
    return bundle_bytes(envelope, bundle.files | (files or {}), trust)
